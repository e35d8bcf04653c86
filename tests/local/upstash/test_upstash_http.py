"""The local Upstash endpoint over raw HTTP: every documented form, and its refusals."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.wire import MAX_BYTES, size_error
from tests.endpoint import TOKEN

pytestmark = pytest.mark.stack
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BINARY = bytes(range(256))


class Caller:
    """One persistent connection with JSON."""

    def __init__(self, endpoint: UpstashEndpoint) -> None:
        self.connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=10)
        self.headers: dict[str, str] = {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of the response; a body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, data, BEARER | named)
        response = self.connection.getresponse()
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, response.read()

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the response."""
        status, data = self.send(method, path, body, **headers)
        return status, json.loads(data)


@pytest.fixture
def caller(endpoint: UpstashEndpoint) -> Iterator[Caller]:
    """A connection to the endpoint, on an empty database."""
    one = Caller(endpoint)
    one.send("POST", "/", ["FLUSHDB"])
    yield one
    one.connection.close()


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
@pytest.mark.parametrize("path", ["/", "/pipeline", "/-/usage", "/-/faults"])
def test_a_web_page_from_elsewhere_is_refused(caller: Caller, path: str, headers: dict[str, str]) -> None:
    """A foreign origin or host is 403 even with the token, on every path."""
    assert caller.send("POST", path, ["PING"], **headers)[0] == 403


def test_a_command_in_the_body(caller: Caller) -> None:
    """POST / takes a JSON array; strings, numbers and booleans are arguments, numbers keep their digits."""
    assert caller.json("POST", "/", ["SET", "key", "v", "EX", 100]) == (200, {"result": "OK"})
    assert caller.json("PUT", "/", ["RPUSH", "list", 1, True, "ü\ud83d"]) == (200, {"result": 3})
    assert caller.json("POST", "/", b'["RPUSH", "list", 1.50, 1e3, 12345678901234567890]')[0] == 200
    expected = ["1", "true", "ü\ufffd", "1.50", "1e3", "12345678901234567890"]
    assert caller.json("POST", "/", ["LRANGE", "list", 0, -1]) == (200, {"result": expected})
    assert caller.headers["content-type"] == "application/json"


def test_a_command_in_the_path(caller: Caller) -> None:
    """Segments are decoded; a body is the next argument and the query's parameters follow it."""
    key = quote("a/b ü", safe="")
    assert caller.json("GET", f"/set/{key}/v%2Fw/EX/100") == (200, {"result": "OK"})
    assert caller.json("POST", f"/get/{key}") == (200, {"result": "v/w"})
    assert caller.json("POST", "/set/key?EX=100&NX", b"body value") == (200, {"result": "OK"})
    assert caller.json("GET", "/get/key") == (200, {"result": "body value"})
    assert 0 < caller.json("GET", "/ttl/key")[1]["result"] <= 100
    assert caller.json("POST", f"/set/{quote_from_bytes(BINARY, safe='')}/x") == (200, {"result": "OK"})
    assert caller.json("GET", "/dbsize") == (200, {"result": 3})


def test_binary_bodies_come_back_in_base64(caller: Caller) -> None:
    """All strings of a result are encoded, nested ones too, except for the status OK."""
    encoded = base64.b64encode(BINARY).decode()
    b64 = {"Upstash_Encoding": "base64"}
    assert caller.json("POST", "/set/key", BINARY, **b64) == (200, {"result": "OK"})
    assert caller.json("GET", "/get/key", **b64) == (200, {"result": encoded})
    assert caller.json("GET", "/ping", **b64) == (200, {"result": base64.b64encode(b"PONG").decode()})
    assert caller.json("POST", "/set/ok", b"OK", **b64) == (200, {"result": "OK"})
    assert caller.json("GET", "/get/ok", **b64) == (200, {"result": "T0s="})
    script = "return {redis.call('GET', 'key'), {1, 'x'}, redis.status_reply('OK')}"
    assert caller.json("POST", "/", ["EVAL", script, 0], **b64)[1] == {"result": [encoded, [1, "eA=="], "OK"]}
    assert "\ufffd" in caller.json("GET", "/get/key")[1]["result"]


def test_a_pipeline_answers_each_command_in_its_place(caller: Caller) -> None:
    """Items that fail, or are not available, do not affect the others."""
    rows = [
        ["SET", "k", "text"],
        ["INCR", "k"],
        ["BLPOP", "k", 0],
        ["GET", "k"],
        ["GET"],
        ["MGET", "k", "gone"],
    ]
    status, items = caller.json("POST", "/pipeline", rows)
    assert status == 200
    assert [set(item) for item in items] == [
        {"result"},
        {"error"},
        {"error"},
        {"result"},
        {"error"},
        {"result"},
    ]
    assert items[1]["error"].startswith("ERR value is not an integer")
    assert "not available: 'BLPOP'" in items[2]["error"]
    assert items[5]["result"] == ["text", None]


def test_a_transaction_runs_whole_or_not_at_all(caller: Caller) -> None:
    """A failing command does not stop the others; a command that cannot be queued discards all."""
    rows = [["SET", "k", "text"], ["INCR", "k"], ["GET", "k"]]
    status, items = caller.json("POST", "/multi-exec", rows, Upstash_Response_Format="resp2")
    assert status == 200
    assert items[0] == {"result": "OK"}
    assert items[1]["error"].startswith("ERR value is not an integer")
    assert items[2] == {"result": "text"}
    for bad in (["GET"], ["NOSUCH"], ["WATCH", "k"]):
        status, response = caller.json("POST", "/multi-exec", [["DEL", "k"], bad])
        assert (status, list(response)) == (400, ["error"])
    assert caller.json("GET", "/get/k") == (200, {"result": "text"})


def test_answers_in_resp2(caller: Caller) -> None:
    """The binary format returns the server's own bytes, a pipeline's replies one after the other."""
    resp2 = {"Upstash_Response_Format": "resp2"}
    assert caller.send("POST", "/set/key", BINARY, **resp2) == (200, b"+OK\r\n")
    assert caller.headers["content-type"] == "application/octet-stream"
    assert caller.send("GET", "/get/key", **resp2) == (200, b"$256\r\n" + BINARY + b"\r\n")
    assert caller.send("GET", "/mget/gone/gone", **resp2) == (200, b"*2\r\n$-1\r\n$-1\r\n")
    assert caller.send("POST", "/pipeline", [["DBSIZE"], ["INCR", "key"]], **resp2)[1].startswith(
        b":1\r\n-ERR "
    )
    assert caller.send("GET", "/incr/key", **resp2)[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/", b"", "EOF"),
        ("/", b"{}", "expected JSON array"),
        ("/", b"[]", "ERR empty command"),
        ("/", b"[" * 100_000, "ERR failed to parse"),
        ("/", b'["SET", "k", NaN]', "ERR failed to parse"),
        ("/", b'["SET", "k", null]', "ERR null args are not supported"),
        ("/", b'["SET", "k", ["v"]]', "ERR unsupported arg type"),
        ("/", b'["SET", "k", {}]', "ERR unsupported arg type"),
        ("/", b'["SET", "k"]', "ERR wrong number of arguments"),
        ("/pipeline", b'["GET", "k"]', "expected JSON array"),
        ("/pipeline", b"[]", "ERR empty pipeline"),
        ("/pipeline", b'[["SET", "k", "v"], ["SET", "k", null]]', "ERR null args"),
        ("/multi-exec", b"nonsense", "ERR failed to parse"),
        ("/subscribe", b"", "ERR Command is not available"),
        ("/psubscribe/x", b"", "ERR Command is not available"),
        ("/xread/BLOCK/0/STREAMS/s/$", b"", "ERR Command is not available"),
        ("/nosuch/command", b"", "ERR unknown command"),
    ],
)
def test_what_cannot_be_read_or_run_is_400(caller: Caller, path: str, body: bytes, error: str) -> None:
    """A malformed or unsupported command is one error object with status 400, and nothing is written."""
    status, response = caller.json("POST", path, body)
    assert status == 400
    assert response["error"].startswith(error)
    assert caller.json("GET", "/dbsize") == (200, {"result": 0})


def test_contradicting_formats_are_400(caller: Caller) -> None:
    """Unknown encodings and formats, and base64 within resp2, are refused."""
    for headers in (
        {"Upstash_Encoding": "gzip"},
        {"Upstash_Response_Format": "resp3"},
        {"Upstash_Encoding": "base64", "Upstash_Response_Format": "resp2"},
    ):
        assert caller.send("GET", "/ping", **headers)[0] == 400


def test_reading_a_stream_without_blocking_is_allowed(caller: Caller) -> None:
    """XREAD is refused only when it would block, whatever its keys are called."""
    assert caller.json("GET", "/xread/STREAMS/BLOCK/0") == (200, {"result": None})


def test_the_token_comes_in_header_or_query(endpoint: UpstashEndpoint, caller: Caller) -> None:
    """Without the right token every form is 401; the query's token precedes the header's."""
    wrong = (401, {"error": "WRONGPASS invalid or missing auth token"})
    assert caller.json("GET", "/get/k", Authorization="") == wrong
    assert caller.json("GET", "/get/k", Authorization="Bearer wrong") == wrong
    assert caller.json("GET", "/get/k?_token=wrong") == wrong
    assert caller.json("POST", "/pipeline", b"no json", Authorization="Basic eDp5") == wrong
    assert caller.json("GET", f"/echo/hi?_token={TOKEN}", Authorization="") == (200, {"result": "hi"})
    assert caller.json("GET", "/-/usage", Authorization="") == wrong
    assert endpoint.url.startswith("http://127.0.0.1:")


def test_methods(caller: Caller) -> None:
    """HEAD is allowed and has no body, as documented; DELETE, PATCH and OPTIONS are 405."""
    assert caller.send("HEAD", "/get/k") == (200, b"")
    assert caller.send("HEAD", "/get/k", Authorization="") == (401, b"")
    for method in ("DELETE", "PATCH", "OPTIONS"):
        assert caller.send(method, "/get/k") == (405, b"")
    assert caller.json("GET", "/ping") == (200, {"result": "PONG"})


def test_the_sync_token_changes_after_writes_only(caller: Caller) -> None:
    """Every response has a token; single writes, pipelines, transactions and scripts change it, reads do not."""
    tokens = []
    for path, body in (
        ("/", ["GET", "k"]),
        ("/", ["SET", "k", "1"]),
        ("/pipeline", [["GET", "k"], ["INCR", "k"]]),
        ("/multi-exec", [["INCR", "k"]]),
        ("/", ["EVAL", "return redis.call('INCR', 'k')", 0]),
        ("/", ["EVAL", "return redis.call('GET', 'k')", 0]),
    ):
        caller.send("POST", path, body)
        tokens.append(caller.headers["upstash-sync-token"])
    assert len(set(tokens[:5])) == 5
    assert tokens[4:] == [tokens[4]] * 2


def test_ten_megabytes_are_the_limit_in_both_directions(caller: Caller) -> None:
    """A larger request or result is refused with its size."""
    limit = f"ERR max request size exceeded. Limit: {MAX_BYTES} bytes, Actual: "
    status, response = caller.json("POST", "/set/big", b"x" * (MAX_BYTES + 1))
    assert (status, response["error"]) == (400, f"{limit}{MAX_BYTES + 1} bytes")
    assert caller.json("POST", "/set/big", b"x" * MAX_BYTES) == (200, {"result": "OK"})
    assert caller.json("GET", "/strlen/big") == (200, {"result": MAX_BYTES})
    caller.send("POST", "/append/big", b"x")
    status, items = caller.json("POST", "/pipeline", [["GET", "big"], ["STRLEN", "big"]])
    assert items[0]["error"].startswith(limit)
    assert items[1] == {"result": MAX_BYTES + 1}


@pytest.mark.parametrize(
    ("head", "error"),
    [
        ("Content-Length: 33554433", size_error(33_554_433)),
        ("Content-Length: x", "ERR the request cannot be read"),
    ],
)
def test_what_is_not_read_is_refused(endpoint: UpstashEndpoint, head: str, error: str) -> None:
    """A body that is announced as larger than 32 MB, or incorrectly, is one error object, and ends the connection."""
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, json.loads(response.read())) == (400, {"error": error})
        assert connection.recv(1) == b""
