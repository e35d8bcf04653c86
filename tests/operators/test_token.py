"""A deployment's first token: the calls to AWS for it, with botocore's own stub."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.stub import ANY, Stubber

from local.template.intrinsics import parse
from operators.token import FLOW, NoTokenError, address_of, main, subject_of

ROOT: Final = Path(__file__).resolve().parents[2]
RESOURCES: Final = parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]
CLAIMS: Final = base64.urlsafe_b64encode(json.dumps({"sub": "11111111-2222"}).encode()).decode().rstrip("=")
TOKEN: Final = f"header.{CLAIMS}.signature"
POOL: Final = "us-east-1_abcdefghi"
OUTPUTS: Final = [
    {"OutputKey": "ApiUrl", "OutputValue": "https://api.example.com"},
    {"OutputKey": "UserPoolId", "OutputValue": POOL},
    {"OutputKey": "UserPoolClientId", "OutputValue": "client"},
]


class Aws:
    """Two of botocore's clients with the test's responses, in order, and nothing else."""

    def __init__(self, stack: ExitStack) -> None:
        self._clients = {}
        self.stubs = {}
        for service in ("cloudformation", "cognito-idp"):
            made: Any = boto3.client(
                service, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
            )
            self._clients[service] = made
            self.stubs[service] = stack.enter_context(Stubber(made))

    def __call__(self, service: str) -> Any:
        """A client."""
        return self._clients[service]

    def has_stack(self, outputs: list[dict[str, str]] = OUTPUTS) -> None:
        """The stack exists, with these outputs."""
        found = {"StackName": "budgie", "CreationTime": "2026-01-01", "StackStatus": "CREATE_COMPLETE"}
        self.stubs["cloudformation"].add_response(
            "describe_stacks", {"Stacks": [found | {"Outputs": outputs}]}, {"StackName": "budgie"}
        )

    def makes(self, address: str, *, is_there: bool = False) -> None:
        """The user is created, without a mail, or exists."""
        stub = self.stubs["cognito-idp"]
        if is_there:
            stub.add_client_error("admin_create_user", "UsernameExistsException")
            return
        attributes = [{"Name": "email", "Value": address}, {"Name": "email_verified", "Value": "true"}]
        asked = {"UserPoolId": POOL, "Username": address, "MessageAction": "SUPPRESS"}
        stub.add_response("admin_create_user", {}, asked | {"UserAttributes": attributes})

    def signs_in(self, address: str, response: dict[str, Any] | None = None) -> None:
        """With the password that was set for the user."""
        stub = self.stubs["cognito-idp"]
        user = {"UserPoolId": POOL, "Username": address}
        stub.add_response("admin_set_user_password", {}, user | {"Password": ANY, "Permanent": True})
        stub.add_response(
            "admin_initiate_auth",
            response or {"AuthenticationResult": {"AccessToken": TOKEN}},
            {
                "UserPoolId": POOL,
                "ClientId": "client",
                "AuthFlow": FLOW,
                "AuthParameters": {"USERNAME": address, "PASSWORD": ANY},
            },
        )

    def is_done(self) -> None:
        """All expected calls were made."""
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def aws() -> Iterator[Aws]:
    """The simulated AWS."""
    with ExitStack() as stack:
        yield Aws(stack)


def test_a_new_user_is_made_and_signed_in(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the token is on standard output; on standard error is the id with which others add the user."""
    aws.has_stack()
    aws.makes("ada@example.com")
    aws.signs_in("ada@example.com")
    assert main(["ada"], aws) == 0
    said = capsys.readouterr()
    assert said.out == f"{TOKEN}\n"
    assert "ada@example.com is the user 11111111-2222" in said.err
    aws.is_done()


def test_a_test_user_gets_a_token_again_and_again(aws: Aws) -> None:
    """Nobody has a real address under example.com, and so nobody loses a password."""
    aws.has_stack()
    aws.makes("ada@example.com", is_there=True)
    aws.signs_in("ada@example.com")
    assert main(["Ada@Example.com"], aws) == 0
    aws.is_done()


def test_a_persons_password_is_left_alone(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is requested explicitly."""
    aws.has_stack()
    aws.makes("ada@example.net", is_there=True)
    assert main(["ada@example.net"], aws) == 1
    assert "--reset-password" in capsys.readouterr().err
    aws.is_done()
    aws.has_stack()
    aws.makes("ada@example.net", is_there=True)
    aws.signs_in("ada@example.net")
    assert main(["ada@example.net", "--reset-password"], aws) == 0
    aws.is_done()


def test_a_stack_with_another_issuer_has_no_tokens_to_give(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack created no pool."""
    aws.has_stack(OUTPUTS[:1])
    assert main(["ada"], aws) == 1
    assert "JwtIssuer" in capsys.readouterr().err


def test_what_aws_refuses_is_said(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing stack or a missing right is reported as a sentence."""
    aws.stubs["cloudformation"].add_client_error(
        "describe_stacks", "ValidationError", "Stack with id budgie does not exist"
    )
    assert main(["ada"], aws) == 1
    assert "Stack with id budgie does not exist" in capsys.readouterr().err


def test_a_pool_that_asks_for_more_is_said(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """A pool that requires a second factor is reported as a sentence."""
    aws.has_stack()
    aws.makes("ada@example.com")
    aws.signs_in("ada@example.com", {"ChallengeName": "MFA_SETUP"})
    assert main(["ada"], aws) == 1
    assert "MFA_SETUP" in capsys.readouterr().err


@pytest.mark.parametrize("user", ["", "ada grace", "@example.com", "ada@", "a@b@c"])
def test_what_can_be_no_address_is_refused(user: str) -> None:
    """Before AWS is called."""
    with pytest.raises(NoTokenError):
        address_of(user)


def test_the_users_id_is_the_tokens_subject() -> None:
    """As the API accepts it."""
    assert subject_of(TOKEN) == "11111111-2222"


def test_the_pool_allows_what_the_command_asks_for() -> None:
    """The admin's flow, which requires AWS credentials; no flow that sends a password with only the client's id."""
    flows = RESOURCES["UserPoolClient"]["Properties"]["ExplicitAuthFlows"]
    assert f"ALLOW_{FLOW}" in flows
    assert "ALLOW_USER_PASSWORD_AUTH" not in flows


def test_addresses_are_one_in_any_case() -> None:
    """Otherwise `Ada@…` and `ada@…` are two users, and a pool cannot be changed later."""
    assert RESOURCES["UserPool"]["Properties"]["UsernameConfiguration"] == {"CaseSensitive": False}


def test_make_token_asks_a_deployment_where_a_stack_is_named() -> None:
    """And otherwise the local stack, even if the shell has a variable of that name."""
    for arguments, command in (
        (["STACK=budgie", "USER=grace"], 'operators.token "$TOKEN_USER" --stack "budgie"'),
        (["USER=grace"], 'local.tokens "$TOKEN_USER"'),
    ):
        ended = subprocess.run(  # noqa: S603 - make, which only prints what it would do
            ["make", "-n", "token", *arguments],  # noqa: S607 - wherever it is
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "STACK": "elsewhere"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout.splitlines()[-1].strip() == f".venv/bin/python -m {command}"
