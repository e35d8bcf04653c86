"""Our signatures are AWS's."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aws.client import SERVICES, Credentials, Signer

HOST = "dynamodb.eu-central-1.amazonaws.com"
REGION = "eu-central-1"
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
SECOND = 1_795_478_400
SECONDS = st.integers(1_500_000_000, 4_000_000_000)


def by_botocore(
    credentials: Credentials, operation: str, body: bytes, seconds: int, service: str = "dynamodb"
) -> dict[str, str]:
    """The headers that botocore signs the same request with."""
    metadata = get_session().get_service_model(service).metadata
    headers = {
        "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}",
        "X-Amz-Target": f"{metadata['targetPrefix']}.{operation}",
        "Host": HOST,
    }
    request = AWSRequest("POST", f"https://{HOST}/", headers, body)
    return added_by_botocore(request, credentials, seconds, service)


def added_by_botocore(
    request: AWSRequest, credentials: Credentials, seconds: int, service: str
) -> dict[str, str]:
    """The headers of a request that botocore has signed."""
    keys: Any = SimpleNamespace(
        access_key=credentials.access_key, secret_key=credentials.secret_key, token=credentials.token or None
    )
    signer: Any = auth.SigV4Auth(keys, service, REGION)
    moment = datetime.fromtimestamp(seconds, UTC)
    with pytest.MonkeyPatch.context() as patch:  # botocore takes no clock
        patch.setattr(auth, "get_current_datetime", lambda *_, **__: moment, raising=False)
        signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT, st.one_of(st.just(""), TEXT), st.binary(max_size=200), SECONDS)
def test_botocore_signs_the_same(access: str, secret: str, token: str, body: bytes, seconds: int) -> None:
    """Any credentials, body and time: the same headers with the same values, to the last byte."""
    credentials = Credentials(access, secret, token)
    signed = Signer(credentials, "dynamodb", REGION, HOST).headers("TransactWriteItems", body, seconds)
    assert signed == by_botocore(credentials, "TransactWriteItems", body, seconds)


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_asked_as_botocore_asks_it(service: str) -> None:
    """By its own prefix and version of the protocol."""
    credentials = Credentials("AKIDEXAMPLE", "secret", "token")
    signed = Signer(credentials, service, REGION, HOST).headers("GetSomething", b"{}", 1_795_478_400)
    assert signed == by_botocore(credentials, "GetSomething", b"{}", 1_795_478_400, service)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["POST", "DELETE"]),
    TEXT.filter(
        lambda each: each not in {".", ".."}
    ),  # botocore resolves these, and no connection has such an id
    st.binary(max_size=200),
)
def test_a_path_is_signed_as_botocore_signs_it(method: str, connection_id: str, body: bytes) -> None:
    """Any connection id of API Gateway's management endpoint, whatever must be encoded in it."""
    path = f"/v1/@connections/{quote(connection_id, safe='')}"
    own = {"content-type": "application/octet-stream"}
    credentials = Credentials("AKIDEXAMPLE", "secret", "token")
    signed = Signer(credentials, "execute-api", REGION, HOST).sign(method, path, own, body, SECOND)
    request = AWSRequest(method, f"https://{HOST}{path}", {**own, "host": HOST}, body)
    assert signed == added_by_botocore(request, credentials, SECOND, "execute-api")


def test_the_key_of_a_day_is_made_anew_the_next() -> None:
    """A container that lives over midnight signs with the new day's key."""
    credentials = Credentials("AKIDEXAMPLE", "secret")
    signer = Signer(credentials, "dynamodb", REGION, HOST)
    midnight = 1_795_478_400
    for seconds in (midnight - 1, midnight, midnight + 1):
        assert signer.headers("GetItem", b"{}", seconds) == by_botocore(
            credentials, "GetItem", b"{}", seconds
        )
    assert time.gmtime(midnight).tm_hour == 0


def test_credentials_do_not_show_their_secrets() -> None:
    """A log line or traceback that shows them names the key alone."""
    shown = repr(Credentials("AKIDEXAMPLE", "s3cret-key", "s3cret-token"))
    assert "AKIDEXAMPLE" in shown
    assert "s3cret" not in shown
