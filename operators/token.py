"""``python -m operators.token ada --stack budgie``: a token of a deployment's user pool, for trying it out.

It finds the stack's pool, creates the user if necessary, sets a password that nobody sees, and signs them in as an
administrator may (`ADMIN_USER_PASSWORD_AUTH`), with your own AWS credentials. The access token goes to standard
output, the user's id (its ``sub``) to standard error. Required rights: docs/deploying.md.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

TEST_DOMAIN: Final = "example.com"
"""A domain without real addresses (RFC 2606): names are completed with it, and its users' passwords are replaced."""
FLOW: Final = "ADMIN_USER_PASSWORD_AUTH"
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\Z")

Clients = Callable[[str], Any]
"""Creates botocore's client of a service."""


class NoTokenError(RuntimeError):
    """No token can be obtained; the text says why, and what to do."""


def address_of(user: str) -> str:
    """A user's address, in lower case, as the template's pools are not case-sensitive.

    Raises:
        NoTokenError: it is not a valid address.
    """
    address = (user if "@" in user else f"{user}@{TEST_DOMAIN}").lower()
    if not _ADDRESS.match(address):
        raise NoTokenError(f"{user!r} is neither a name nor an address")
    return address


def pool_of(cloudformation: Any, stack: str) -> tuple[str, str]:  # noqa: ANN401 - botocore's clients are made at run time
    """The ids of a stack's user pool and of the pool's client.

    Raises:
        NoTokenError: the stack created none.
    """
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    if "UserPoolId" not in outputs:
        raise NoTokenError(
            f"the stack {stack} has no user pool of its own: tokens are those of its JwtIssuer, which gives them out"
        )
    return outputs["UserPoolId"], outputs["UserPoolClientId"]


def token_of(cognito: Any, pool: str, client: str, address: str, *, reset: bool = False) -> str:  # noqa: ANN401 - as above
    """An access token, valid for an hour.

    Args:
        cognito: a client of `cognito-idp`.
        pool: the pool's id.
        client: the id of the client whose tokens the API accepts.
        address: the user's.
        reset: whether an existing user's password may be replaced. A test user's always is.

    Raises:
        NoTokenError: the user exists, and may be a person with a password; or sign-in requires more than a password.
    """
    is_new = _make(cognito, pool, address)
    if not (is_new or reset or address.endswith(f"@{TEST_DOMAIN}")):
        raise NoTokenError(
            f"{address} already exists. To get a token, the password is replaced: "
            "to do so, add --reset-password"
        )
    # One of each kind of character that a pool may require; nobody will ever type it.
    password = f"aA1!{secrets.token_urlsafe(32)}"
    cognito.admin_set_user_password(UserPoolId=pool, Username=address, Password=password, Permanent=True)
    response = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow=FLOW,
        AuthParameters={"USERNAME": address, "PASSWORD": password},
    )
    if "AuthenticationResult" not in response:
        raise NoTokenError(f"the pool asks for more than a password: {response.get('ChallengeName')}")
    return str(response["AuthenticationResult"]["AccessToken"])


def _make(cognito: Any, pool: str, address: str) -> bool:  # noqa: ANN401 - as above
    """Whether the user did not exist; no mail is sent."""
    try:
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=address,
            MessageAction="SUPPRESS",
            UserAttributes=[
                {"Name": "email", "Value": address},
                {"Name": "email_verified", "Value": "true"},
            ],
        )
    except cognito.exceptions.UsernameExistsException:
        return False
    return True


def subject_of(token: str) -> str:
    """The token's ``sub``, which is the user's id in Budgie. It came from AWS over TLS, and is not verified here."""
    claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return str(claims["sub"])


def main(arguments: Sequence[str] | None = None, clients: Clients | None = None) -> int:
    """Prints a token; returns 1, after the reason, if there is none.

    Args:
        arguments: of the command line.
        clients: creates clients of AWS; boto3 if None.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    given = _parse(arguments)
    try:
        make = clients or _boto3(given.region)
        address = address_of(given.user)
        pool, client = pool_of(make("cloudformation"), given.stack)
        token = token_of(make("cognito-idp"), pool, client, address, reset=given.reset_password)
    except NoTokenError as error:
        return _fail(str(error))
    except ClientError as error:
        # Its text names the request and what is missing, a right or the stack; never the password.
        return _fail(str(error))
    except BotoCoreError as error:
        return _fail(f"AWS: {error}")
    print(f"{address} is the user {subject_of(token)}; the token is valid for an hour", file=sys.stderr)
    print(token)
    return 0


def _boto3(region: str | None) -> Clients:
    import boto3

    make: Any = boto3.client
    return lambda service: make(service, region_name=region)


def _fail(reason: str) -> int:
    print(f"token: {reason}", file=sys.stderr)
    return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m operators.token",
        description="A token of a deployment's user pool, for trying it out.",
    )
    parser.add_argument("user", help=f"an address, or a name, which becomes one at {TEST_DOMAIN}")
    parser.add_argument("--stack", default="budgie", help="the deployment's stack (default: budgie)")
    parser.add_argument("--region", help="of the stack, instead of your default one")
    parser.add_argument(
        "--reset-password",
        action="store_true",
        help="also for an existing user, who may be a person",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
