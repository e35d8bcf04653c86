"""What every client of AWS does: one suite over Budgie's own and the one over botocore, both made by ``aws_client``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from shared.aws.botocore_client import BotocoreClient
from shared.aws.client import Client
from shared.aws.connect import CallLimits, aws_client
from shared.aws.protocol import AwsClient, AwsError, NoAnswerError, ServiceError
from tests.artifacts.parameters import parameter_store
from tests.cases import case
from tests.shared.aws.scripted_server import Play, Server, hangs, refuses, resets, says, serving

pytestmark = pytest.mark.stack
KEY = {"pk": {"S": "C#1"}, "sk": {"S": "HEAD"}}
GET: dict[str, Any] = {"TableName": "table", "Key": KEY}
FINE = {"Item": {"sk": {"S": "HEAD"}, "hash": {"B": "AAH/"}}}
PUT = {"Put": {"TableName": "table", "Item": KEY}}
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
OURS, BOTOCORE = Client, BotocoreClient

Make = Callable[..., AwsClient]


@pytest.fixture(params=[OURS, BOTOCORE], ids=["ours", "botocore"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes clients of a server, as a function makes them; they are closed at the end."""
    # boto3 finds its credentials in the process's environment; where those handed in have none, it is what is made.
    for name, value in {**KEYS, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    environ = {"AWS_REGION": "us-east-1", **(KEYS if request.param is OURS else {})}
    with ExitStack() as stack:

        def made(url: str, attempts: int = 1, read_ms: int = 5_000, service: str = "dynamodb") -> AwsClient:
            client: AwsClient = aws_client(service, CallLimits(5_000, read_ms, attempts), environ, url)
            stack.callback(client.close)
            assert type(client) is request.param
            return client

        yield made


def failure(make: Make, *plays: Play, **options: int) -> tuple[AwsError, Server]:
    """What reading an item raises, and the server that was asked."""
    with serving(*plays) as server, pytest.raises(AwsError) as caught:
        make(server.url, **options).call("GetItem", GET)
    return caught.value, server


def test_bytes_travel_as_base64(make: Make) -> None:
    """Both ways, however deep they lie; the operation and its arguments carry AWS's names."""
    with serving(says(FINE)) as server:
        found = make(server.url).call(
            "PutItem", {"TableName": "table", "Item": KEY | {"body": {"B": b"\0\1\xff"}}}
        )
    assert server.asked == [("PutItem", {"TableName": "table", "Item": KEY | {"body": {"B": "AAH/"}}})]
    assert "Item" not in found or found["Item"]["hash"] == {"B": b"\0\1\xff"}
    with serving(says(FINE)) as server:
        assert make(server.url).call("GetItem", GET)["Item"]["hash"] == {"B": b"\0\1\xff"}


def test_an_answer_carries_the_services_time(make: Make) -> None:
    """As the HTTP date that the server sent, by which a container puts its clock right."""
    with serving(says(FINE)) as server:
        answer = make(server.url).call("GetItem", GET)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["date"].endswith("GMT")


def test_a_refusal_says_its_code_and_whether_it_lasts(make: Make) -> None:
    """What AWS refuses with 4xx it refuses again, unless it is known to pass; AWS's text stays out of the error's."""
    for code, status, is_permanent, is_throttle in [
        ("AccessDeniedException", 400, True, False),
        ("ResourceNotFoundException", 400, True, False),
        ("UnrecognizedClientException", 400, True, False),
        ("ValidationException", 400, True, False),
        ("InvalidSignatureException", 400, True, False),
        ("ExpiredTokenException", 400, False, False),
        ("ThrottlingException", 400, False, True),
        ("ProvisionedThroughputExceededException", 400, False, True),
        ("InternalServerError", 500, False, False),
        ("NotHeardOfException", 400, True, False),
        ("NotHeardOfException", 500, False, False),
    ]:
        with case(code, status, is_permanent, is_throttle):
            error, _ = failure(make, refuses(code, status))
            assert isinstance(error, ServiceError)
            assert (error.code, error.is_permanent, error.is_throttle) == (code, is_permanent, is_throttle)
            assert "made up" not in str(error)


def test_a_failed_condition_returns_the_stored_item(make: Make) -> None:
    """And a cancelled transaction with a reason for each of its writes; their bytes are bytes."""
    error, _ = failure(make, refuses("ConditionalCheckFailedException", Item={"hash": {"B": "AAH/"}}))
    assert isinstance(error, ServiceError)
    assert error.response["Item"] == {"hash": {"B": b"\0\1\xff"}}
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"hash": {"B": "AAH/"}}}]
    error, _ = failure(make, refuses("TransactionCanceledException", CancellationReasons=reasons))
    assert isinstance(error, ServiceError)
    assert error.response["CancellationReasons"][1]["Item"] == {"hash": {"B": b"\0\1\xff"}}


def test_an_answer_that_cannot_be_understood_is_no_answer(make: Make) -> None:
    """A broken connection, a wrong checksum, half a response; the code is the kind of exception, or none."""
    for play in [resets, says(FINE, crc=1), says(b'{"Item": {"sk"')]:
        with case(play):
            error, server = failure(make, play)
            assert isinstance(error, NoAnswerError)
            assert (error.is_permanent, error.is_throttle) == (False, False)
            assert error.code.isidentifier()
            assert len(server.asked) == 1


def test_silence_ends(make: Make) -> None:
    """After the read timeout."""
    end = threading.Event()
    error, _ = failure(make, hangs(end), read_ms=100)
    end.set()
    assert isinstance(error, NoAnswerError)


def test_a_refused_connection_is_no_answer(make: Make) -> None:
    """A refused connection."""
    with serving(says(FINE)) as server:
        url = server.url
    with pytest.raises(NoAnswerError):
        make(url).call("GetItem", GET)


def test_what_may_pass_is_tried_again(make: Make) -> None:
    """Throttling, a fault of the service, a broken connection, a wrong checksum: the second try goes well."""
    for play in [
        refuses("ThrottlingException"),
        refuses("InternalServerError", 500),
        resets,
        says(FINE, crc=1),
    ]:
        with case(play):
            with serving(play, says(FINE)) as server:
                assert make(server.url, attempts=2).call("GetItem", GET)["Item"]["sk"] == {"S": "HEAD"}
            assert len(server.asked) == 2


def test_what_will_not_pass_is_tried_once(make: Make) -> None:
    """Another try would be refused as well."""
    for code in ["AccessDeniedException", "ConditionalCheckFailedException", "ExpiredTokenException"]:
        with case(code):
            _, server = failure(make, refuses(code), attempts=3)
            assert len(server.asked) == 1


def test_it_gives_up_after_its_attempts(make: Make) -> None:
    """With the last refusal."""
    error, server = failure(make, refuses("ThrottlingException"), attempts=2)
    assert (error.code, len(server.asked)) == ("ThrottlingException", 2)


def test_tries_of_one_transaction_carry_one_token(make: Make) -> None:
    """A transaction whose response was lost is not executed twice; a given token is kept."""
    arguments = {"TransactItems": [PUT]}
    with serving(resets, says({})) as server:
        client = make(server.url, attempts=2)
        client.call("TransactWriteItems", arguments)
        client.call("TransactWriteItems", arguments)
        client.call("TransactWriteItems", {**arguments, "ClientRequestToken": "given"})
    first, again, other, given = (asked["ClientRequestToken"] for _, asked in server.asked)
    assert first == again != other
    assert given == "given"
    assert arguments == {"TransactItems": [PUT]}, "what is handed in is the caller's"


def test_threads_share_a_client(make: Make) -> None:
    """Each thread gets the response to its own call."""
    with serving(says(FINE)) as server:
        client, found = make(server.url), list[Any]()
        threads = [
            threading.Thread(
                target=lambda: found.extend(client.call("GetItem", GET)["Item"] for _ in range(5))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [{"sk": {"S": "HEAD"}, "hash": {"B": b"\0\1\xff"}}] * 20


def test_systems_manager_is_asked_for_a_parameter(make: Make) -> None:
    """Signed, by the name of its own protocol; one that is not there is refused for good."""
    with parameter_store({"/budgie/token": "token"}) as (url, asked):
        client = make(url, service="ssm")
        answer = client.call("GetParameter", {"Name": "/budgie/token", "WithDecryption": True})
        with pytest.raises(ServiceError) as caught:
            client.call("GetParameter", {"Name": "/other", "WithDecryption": True})
    assert answer["Parameter"]["Value"] == "token"
    assert (caught.value.code, caught.value.is_permanent) == ("ParameterNotFound", True)
    assert asked == ["/budgie/token", "/other"]
