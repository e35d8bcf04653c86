"""Faults of the local Upstash endpoint, as a client sees them, and their control by other processes."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import CAPACITY, QUOTA_DAILY, QUOTA_MONTHLY, Fault, Faults
from tests.endpoint import TOKEN

pytestmark = pytest.mark.stack


@pytest.fixture
def faults(endpoint: UpstashEndpoint) -> Iterator[Faults]:
    """The endpoint's faults, none before and none after, on an empty database."""
    _call(endpoint, ["FLUSHDB"])
    yield endpoint.faults
    endpoint.faults.clear()


def _call(endpoint: UpstashEndpoint, body: Any, path: str = "/", method: str = "POST") -> tuple[int, bytes]:
    """Status and body of a request on a new connection; gives up after half a second."""
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=0.5)
    try:
        connection.request(method, path, json.dumps(body), {"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _result(endpoint: UpstashEndpoint, *command: str) -> Any:
    return json.loads(_call(endpoint, command)[1])["result"]


def _error(endpoint: UpstashEndpoint, *command: str) -> str:
    status, body = _call(endpoint, command)
    assert status == 400
    return str(json.loads(body)["error"])


def test_latency_delays_the_answer(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """Milliseconds of latency, fixed and within a range, add up; the response is correct."""
    faults.add(Fault(kind="latency", ms=60), Fault(kind="latency", ms=40, max_ms=50))
    begun = time.monotonic()
    assert _result(endpoint, "PING") == "PONG"
    assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize("executed", [False, True])
def test_a_hang_never_answers(endpoint: UpstashEndpoint, faults: Faults, *, executed: bool) -> None:
    """The client waits until it gives up; the command ran or not, as configured."""
    faults.add(Fault(kind="hang", times=1, executed=executed))
    with pytest.raises(TimeoutError):
        _call(endpoint, ["INCR", "count"])
    assert _result(endpoint, "GET", "count") == ("1" if executed else None)


@pytest.mark.parametrize("status", [429, 500, 502])
def test_a_status_without_json(endpoint: UpstashEndpoint, faults: Faults, status: int) -> None:
    """The response has the status and a body that is not JSON, for the given number of requests."""
    faults.add(Fault(kind="status", status=status, times=2))
    for _ in range(2):
        got, body = _call(endpoint, ["PING"])
        assert got == status
        assert body.startswith(b"<html>")
    assert _result(endpoint, "PING") == "PONG"


@pytest.mark.parametrize("executed", [False, True])
def test_garbage_instead_of_json(endpoint: UpstashEndpoint, faults: Faults, *, executed: bool) -> None:
    """Status 200 with no JSON, half of the JSON, or half of what Content-Length announces."""
    faults.add(Fault(kind="garbage", times=1, executed=executed))
    assert _call(endpoint, ["INCR", "count"])[0] == 200
    faults.add(Fault(kind="garbage", form="truncated", times=1, executed=executed))
    status, body = _call(endpoint, ["INCR", "count"])
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    faults.add(Fault(kind="garbage", form="short", times=1, executed=executed))
    with pytest.raises(http.client.IncompleteRead):
        _call(endpoint, ["INCR", "count"])
    assert _result(endpoint, "GET", "count") == ("3" if executed else None)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("form", ["silent", "half"])
def test_dying_in_the_middle(endpoint: UpstashEndpoint, faults: Faults, form: str, *, executed: bool) -> None:
    """The connection is reset before the response or within it; the command ran or not, as configured."""
    faults.add(Fault(kind="die", form=form, times=1, executed=executed))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        _call(endpoint, ["INCR", "count"])
    assert _result(endpoint, "GET", "count") == ("1" if executed else None)


def test_a_token_that_became_wrong(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """Every request gets 401 until the fault is cleared."""
    faults.add(Fault(kind="wrong_token"))
    for _ in range(2):
        status, body = _call(endpoint, ["PING"])
        assert (status, json.loads(body)) == (401, {"error": "WRONGPASS invalid or missing auth token"})
    faults.clear()
    assert _result(endpoint, "PING") == "PONG"


@pytest.mark.parametrize(("form", "text"), [("monthly", QUOTA_MONTHLY), ("daily", QUOTA_DAILY)])
def test_a_quota_ends_after_so_many_commands(
    endpoint: UpstashEndpoint, faults: Faults, form: str, text: str
) -> None:
    """Billed commands are allowed until the quota is used up; items of a pipeline fail one by one."""
    faults.add(Fault(kind="quota", form=form, after=3))
    assert _result(endpoint, "SET", "k", "v") == "OK"
    items = json.loads(_call(endpoint, [["GET", "k"], ["PING"], ["GET", "k"], ["GET", "k"]], "/pipeline")[1])
    assert items == [{"result": "v"}, {"result": "PONG"}, {"result": "v"}, {"error": text}]
    assert _error(endpoint, "GET", "k") == text
    assert _result(endpoint, "PING") == "PONG"


def test_a_transaction_over_the_quota_is_discarded(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """If not all of its commands are within the quota, none of them runs."""
    faults.add(Fault(kind="quota", after=2))
    status, body = _call(endpoint, [["INCR", "k"]] * 3, "/multi-exec")
    assert (status, json.loads(body)) == (400, {"error": QUOTA_MONTHLY})
    assert _result(endpoint, "GET", "k") is None


def test_a_full_database_still_reads_and_deletes(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """Only commands that need memory are refused."""
    _call(endpoint, ["SET", "k", "v"])
    faults.add(Fault(kind="capacity"))
    for command in (["SET", "k", "w"], ["HSET", "h", "f", "v"], ["EVAL", "return 1", "0"]):
        assert _error(endpoint, *command) == CAPACITY
    assert _result(endpoint, "GET", "k") == "v"
    assert _result(endpoint, "DEL", "k") == 1


def test_a_really_full_server_answers_alike(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """Redis's own out-of-memory error is returned in Upstash's words."""
    faults.clear()
    script = "return redis.error_reply('OOM command not allowed')"
    assert _error(endpoint, "EVAL", script, "0") == CAPACITY


def test_refused_connections(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """Nothing listens and open connections end; afterwards the same address works again."""
    assert faults.active() == []
    kept = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=2)
    kept.request("HEAD", "/")
    kept.getresponse().read()
    endpoint.refuse()
    try:
        assert kept.sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            _call(endpoint, ["PING"])
    finally:
        kept.close()
        endpoint.accept()
    assert _result(endpoint, "PING") == "PONG"


def test_probability_is_repeatable(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """With the same seed the same requests are affected, about as many as configured."""
    faults.add(Fault(kind="status", status=500, probability=0.5))
    runs = []
    for _ in range(2):
        faults.seed(7)
        runs.append([_call(endpoint, ["PING"])[0] for _ in range(40)])
    assert runs[0] == runs[1]
    assert 10 < runs[0].count(500) < 30


def test_other_processes_arm_and_disarm_over_http(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """The control path arms, lists and clears, and works while everything else fails."""
    control = "/-/faults"
    status, body = _call(
        endpoint, [{"kind": "status", "status": 503, "times": 9}, {"kind": "latency"}], control
    )
    assert (status, [fault["kind"] for fault in json.loads(body)]) == (200, ["status", "latency"])
    assert _call(endpoint, ["PING"])[0] == 503
    assert json.loads(_call(endpoint, None, control, "GET")[1])[0]["times"] == 8
    assert _call(endpoint, None, control, "DELETE") == (200, b"[]")
    assert faults.active() == []
    assert _result(endpoint, "PING") == "PONG"


@pytest.mark.parametrize(
    "document", [{}, [1], {"kind": "no"}, {"kind": "hang", "x": 1}, {"kind": "hang", "ms": "1"}]
)
def test_a_fault_that_makes_no_sense_is_400(endpoint: UpstashEndpoint, faults: Faults, document: Any) -> None:
    """The control path returns the error and arms nothing."""
    status, body = _call(endpoint, document, "/-/faults")
    assert status == 400
    assert json.loads(body)["error"].startswith("ERR ")
    assert faults.active() == []


def test_refusal_over_http_ends_by_itself(endpoint: UpstashEndpoint, faults: Faults) -> None:
    """The request for it gets its response, then nothing listens, then everything is as before."""
    assert faults.active() == []
    assert _call(endpoint, {"kind": "refuse", "seconds": 0.3}, "/-/faults")[0] == 200
    assert _eventually_refused(endpoint)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert _result(endpoint, "PING") == "PONG"
            break
        except ConnectionError:
            time.sleep(0.02)
    assert _result(endpoint, "PING") == "PONG"


def _eventually_refused(endpoint: UpstashEndpoint) -> bool:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            _call(endpoint, ["PING"])
        except ConnectionRefusedError:
            return True
        except (OSError, http.client.HTTPException):
            pass  # the moment in which open connections end
    return False
