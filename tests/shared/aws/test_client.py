"""Our DynamoDB client: what it sends, what it understands, what it tries again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from shared.aws.client import RETRY_TOKENS, TOKENS_PER_CALL, Budget, Client, Credentials, Signer
from shared.aws.protocol import RETRYABLE, NoAnswerError, ServiceError
from shared.domain.clock import now_ms
from shared.observability.meter import start_meter
from shared.runtime import http_pool as connections_module
from shared.runtime.http_pool import IDLE_SECONDS, Connections
from tests.cases import case
from tests.shared.aws.scripted_server import Server, checks_the_time, hangs, refuses, resets, says, serving

pytestmark = pytest.mark.stack
FINE = {"Item": {"sk": {"S": "HEAD"}, "hash": {"B": "AAH/"}}}


ClientOf = Callable[..., Client]


@pytest.fixture
def slept() -> list[float]:
    """How long the clients waited."""
    return []


@pytest.fixture
def client_of(slept: list[float]) -> Iterator[ClientOf]:
    """Makes clients of a server, which are closed at the end."""
    with ExitStack() as stack:

        def make(
            server: Server, attempts: int = 3, read_seconds: float = 5.0, own: Callable[[], int] = now_ms
        ) -> Client:
            connections = Connections(server.url, 5.0, read_seconds)
            signer = Signer(Credentials("key", "secret"), "dynamodb", "us-east-1", connections.host)
            made = Client(connections, signer, attempts, slept.append, own)
            stack.callback(made.close)
            return made

        yield make


def test_bytes_travel_as_base64(client_of: ClientOf) -> None:
    """In both directions and at any depth; anything else that looks like a ``B`` stays."""
    answer = FINE | {"Attributes": {"B": {"S": "a name"}, "C": {"N": "1"}}}
    with serving(says(answer)) as server:
        found = client_of(server).call("PutItem", {"Item": {"body": {"B": b"\x00\x01\xff"}}})
    assert server.asked == [("PutItem", {"Item": {"body": {"B": "AAH/"}}})]
    assert found["Item"]["hash"] == {"B": b"\x00\x01\xff"}
    assert found["Attributes"] == answer["Attributes"]


def test_an_attribute_named_b_is_no_bytes(client_of: ClientOf) -> None:
    """An item whose only attribute is called B is left as it is."""
    with serving(says({"Item": {"B": {"S": "text"}}})) as server:
        assert client_of(server).call("GetItem", {})["Item"] == {"B": {"S": "text"}}


def test_a_refusal_says_what_dynamodb_says(client_of: ClientOf, slept: list[float]) -> None:
    """The error has the code without its namespace, the stored item and the reasons; the call is tried once."""
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"hash": {"B": "AAH/"}}}]
    play = refuses("TransactionCanceledException", CancellationReasons=reasons)
    with serving(play) as server, pytest.raises(ServiceError) as caught:
        client_of(server).call("TransactWriteItems", {"TransactItems": []})
    assert caught.value.response["Error"] == {"Code": "TransactionCanceledException", "Message": "made up"}
    assert caught.value.response["CancellationReasons"][1]["Item"] == {"hash": {"B": b"\x00\x01\xff"}}
    assert (len(server.asked), slept) == (1, [])


def test_what_may_pass_is_tried_again(client_of: ClientOf, slept: list[float]) -> None:
    """After a wait of up to 50 ms, then 100."""
    for code in sorted(RETRYABLE):
        with case(code):
            with serving(refuses(code), refuses(code), says(FINE)) as server:
                assert client_of(server).call("GetItem", {})["Item"]["sk"] == {"S": "HEAD"}
            assert len(server.asked) == 3
            assert 0 <= slept[0] <= 0.05
            assert 0 <= slept[1] <= 0.1


def test_a_refusal_says_whether_it_lasts(client_of: ClientOf) -> None:
    """What AWS would refuse again is not tried again, but a signature; the rest passes by itself."""
    for code, status, is_permanent, tries in [
        ("AccessDeniedException", 400, True, 1),
        ("ResourceNotFoundException", 400, True, 1),
        ("UnrecognizedClientException", 400, True, 1),
        ("ValidationException", 400, True, 1),
        (
            "InvalidSignatureException",
            400,
            True,
            3,
        ),  # signed anew by the service's time, and refused all the same
        ("ExpiredTokenException", 400, False, 1),
        ("ThrottlingException", 400, False, 3),
        ("InternalServerError", 500, False, 3),
        ("NotHeardOfException", 500, False, 3),
    ]:
        with case(code, status, is_permanent, tries):
            with serving(refuses(code, status)) as server, pytest.raises(ServiceError) as caught:
                client_of(server).call("GetItem", {})
            assert (caught.value.code, caught.value.is_permanent, len(server.asked)) == (
                code,
                is_permanent,
                tries,
            )


def test_no_answer_says_of_which_kind(client_of: ClientOf) -> None:
    """The exception's name, for the log: its text may quote the request."""
    with serving(resets) as server, pytest.raises(NoAnswerError) as caught:
        client_of(server).call("GetItem", {})
    assert caught.value.code == "ConnectionResetError"
    with serving(says(b"[]")) as server, pytest.raises(NoAnswerError) as caught:
        client_of(server).call("GetItem", {})
    assert caught.value.code == "NoAnswer"


def test_throttled_tries_are_charged_to_the_request(client_of: ClientOf) -> None:
    """Each of them, also where the last one goes well."""
    made = start_meter()
    throttled = refuses("ThrottlingException")
    with serving(throttled, throttled, says(FINE)) as server:
        client_of(server).call("GetItem", {})
    assert made.throttles == 2


def test_it_gives_up_after_its_attempts(client_of: ClientOf, slept: list[float]) -> None:
    """With the last refusal."""
    with serving(refuses("ThrottlingException")) as server, pytest.raises(ServiceError, match="Throttling"):
        client_of(server, attempts=4).call("GetItem", {})
    assert (len(server.asked), len(slept)) == (4, 3)


def test_an_answer_that_is_none_is_tried_again(client_of: ClientOf, slept: list[float]) -> None:
    """A broken connection, a wrong checksum, half a response, a gateway's page, a fault of the service."""
    for play in [
        resets,
        says(FINE, crc=1),
        says(b'{"Item": {"sk"'),
        says(b"[]"),
        says(b"<html>bad gateway</html>", 502),
        refuses("InternalServerError", 500),
    ]:
        slept.clear()
        with case(play):
            with serving(play, says(FINE)) as server:
                assert client_of(server).call("GetItem", {})["Item"]["sk"] == {"S": "HEAD"}
            assert (len(server.asked), len(slept)) == (2, 1)


@pytest.mark.parametrize("minutes", [-400, -6, 6, 400])
def test_a_clock_that_aws_does_not_take_is_put_right(client_of: ClientOf, minutes: int) -> None:
    """One refusal tells the time; what follows is signed by it."""
    with serving(checks_the_time(FINE)) as server:
        client = client_of(server, own=lambda: now_ms() + minutes * 60_000)
        client.call("GetItem", {})
        client.call("GetItem", {})
    assert len(server.asked) == 3


def test_silence_ends(client_of: ClientOf) -> None:
    """After the read timeout, each time it is tried."""
    end = threading.Event()
    with serving(hangs(end)) as server:
        with pytest.raises(NoAnswerError):
            client_of(server, attempts=2, read_seconds=0.1).call("GetItem", {})
        end.set()
    assert len(server.asked) == 2


def test_a_refused_connection_is_no_answer(client_of: ClientOf) -> None:
    """A refused connection."""
    with serving(says(FINE)) as server:
        client = client_of(server)
    with pytest.raises(NoAnswerError):
        client.call("GetItem", {})


def test_tries_of_one_transaction_carry_one_token(client_of: ClientOf) -> None:
    """A transaction whose response was lost is not executed twice; another transaction has another token."""
    with serving(resets, says({})) as server:
        client = client_of(server)
        client.call("TransactWriteItems", {"TransactItems": []})
        client.call("TransactWriteItems", {"TransactItems": []})
    first, again, other = (asked["ClientRequestToken"] for _, asked in server.asked)
    assert first == again != other


def test_one_connection_serves_call_after_call(client_of: ClientOf, slept: list[float]) -> None:
    """A connection is kept, unless the other end closed it or it was idle for too long."""
    with serving(says(FINE), says(FINE), says(FINE, close=True), says(FINE)) as server:
        client = client_of(server)
        for _ in range(3):
            client.call("GetItem", {})
        assert len(server.connections) == 1
        idle = client._connections._idle
        while idle and not connections_module._is_dropped(idle[0][0]):
            time.sleep(0.001)
        client.call("GetItem", {})
        assert len(server.connections) == 2
        connection, since = idle.pop()
        idle.append((connection, since - IDLE_SECONDS))
        client.call("GetItem", {})
        client.close()
    assert len(server.connections) == 3
    assert slept == []


def test_threads_share_what_is_kept(client_of: ClientOf) -> None:
    """Calls at the same time take connections of their own, and give them back for any other to use."""
    with serving(says(FINE)) as server:
        client = client_of(server)
        threads = [
            threading.Thread(target=lambda: [client.call("GetItem", {}) for _ in range(20)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
    assert len(server.asked) == 80
    assert len(server.connections) <= 4


def test_a_kept_connection_that_is_gone_costs_no_try(client_of: ClientOf, slept: list[float]) -> None:
    """It breaks in the middle of the request: at once again on a new one; a new one that breaks is a failure."""
    with serving(says(FINE), resets, says(FINE)) as server:
        client = client_of(server, attempts=1)
        client.call("GetItem", {})
        assert client.call("GetItem", {})["Item"]["sk"] == {"S": "HEAD"}
    assert (len(server.asked), len(server.connections), slept) == (3, 2, [])
    with serving(resets) as server, pytest.raises(NoAnswerError):
        client_of(server, attempts=1).call("GetItem", {})


def test_retries_have_a_budget() -> None:
    """Twenty in a row, then one for every two calls; it never grows beyond what it was."""
    budget = Budget()
    assert [budget.spend() for _ in range(21)] == [True] * 20 + [False]
    budget.earn()
    assert not budget.spend()
    budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]
    for _ in range(100):
        budget.earn()
    assert sum(budget.spend() for _ in range(50)) == RETRY_TOKENS


def test_an_outage_costs_at_most_one_and_a_half_tries_a_call(client_of: ClientOf) -> None:
    """However long it lasts, beyond what was in reserve."""
    with serving(refuses("ThrottlingException")) as server:
        client = client_of(server)
        for _ in range(100):
            with pytest.raises(ServiceError):
                client.call("GetItem", {})
    assert len(server.asked) <= RETRY_TOKENS + 100 * (1 + TOKENS_PER_CALL)
