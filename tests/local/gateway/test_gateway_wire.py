"""HTTP/1.1 as bytes: what the gateway reads, refuses and writes. No sockets."""

from http import HTTPStatus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.gateway.wire import Limits, RefusedError, Request, RequestReader, Response, write_response
from tests.lengths import examples

HOST = b"Host: localhost\r\n"


def read(data: bytes) -> Request | None:
    """Read one request from a client that sends these bytes and closes."""
    reader = RequestReader()
    reader.feed(data)
    reader.feed(b"")
    return reader.take()


def test_reads_a_request() -> None:
    """Method, path, query, headers in their order and a body of the stated length are read."""
    request = read(
        b"POST /a%20b?x=1&x=2 HTTP/1.1\r\n" + HOST + b"X-A:  1 \r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert request is not None
    assert (request.method, request.path, request.query, request.body) == (
        "POST",
        "/a%20b",
        "x=1&x=2",
        b"abc",
    )
    assert request.headers == (("host", "localhost"), ("x-a", "1"), ("x-a", "2"), ("content-length", "3"))
    assert request.keeps_alive


def test_requests_follow_each_other() -> None:
    """However the bytes are split, each request begins where the previous one ends, up to an invalid one."""
    data = (
        b"GET /1 HTTP/1.1\r\n"
        + HOST
        + b"\r\n\r\nPOST /2 HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 2\r\n\r\nab!"
    )
    for parts in ([data], [data[i : i + 1] for i in range(len(data))]):
        reader = RequestReader()
        for part in parts:
            reader.feed(part)
        first, second = reader.take(), reader.take()
        assert first is not None
        assert second is not None
        assert (first.path, first.body, second.path, second.body) == ("/1", b"", "/2", b"ab")
        with pytest.raises(RefusedError):
            reader.take()


def test_reads_chunks() -> None:
    """A chunked body is joined; extensions and trailers are dropped."""
    body = b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
    request = read(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n" + body)
    assert request is not None
    assert request.body == b"abc0123456789"
    assert [name for name, _ in request.headers] == ["host", "transfer-encoding"]


def test_says_continue_before_the_body() -> None:
    """A client that expects 100 Continue gets it once, unless its body has arrived or is too large."""
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: "
    for data, told in ((b"1\r\n\r\n", True), (b"1\r\n\r\nx", False), (b"99999999\r\n\r\n", False)):
        reader = RequestReader()
        reader.feed(head + data)
        assert (reader.take_continue(), reader.take_continue()) == (told, False)


def test_headers_outside_ascii() -> None:
    """A header is UTF-8 or else Latin-1."""
    request = read("GET / HTTP/1.1\r\nHost: x\r\nA: ü\r\n".encode() + b"B: \xfc\r\n\r\n")
    assert request is not None
    assert (request.header("a"), request.header("b")) == ("ü", "ü")


def test_absolute_target() -> None:
    """A target with scheme and host, as proxies send it, is reduced to its path."""
    request = read(b"GET http://localhost:80/v1/x?q=http://y HTTP/1.1\r\n" + HOST + b"\r\n")
    assert request is not None
    assert request.target == "/v1/x?q=http://y"


def test_no_other_protocol_is_spoken() -> None:
    """A request to upgrade the protocol, as `curl --http2` sends it, is read like any other; so is the next."""
    upgrade = b"GET /1 HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    reader = RequestReader()
    reader.feed(upgrade + b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [request.path for request in (reader.take(), reader.take()) if request] == ["/1", "/2"]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET x HTTP/1.1\r\n" + HOST + b"\r\n",
        "GET /ä HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST,
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_refuses_what_is_no_request(data: bytes) -> None:
    """Malformed requests get 400 and end the connection, as the start of the next one is unclear."""
    with pytest.raises(RefusedError) as refused:
        read(data)
    assert refused.value.response.status == 400
    assert refused.value.response.body == b'{"message":"Bad Request"}'


@settings(max_examples=examples(100))
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"GET / HTTP/1.1\r\n" + HOST, b"POST / HTTP/1.1\r\n" + HOST]),
)
@example(b"Transfer-Encoding: chunked\r\n\r\n\xff\r\n", b"POST / HTTP/1.1\r\n" + HOST)
def test_garbage_is_read_or_refused(data: bytes, prefix: bytes) -> None:
    """Any bytes are a request, the end, or refused; nothing else is raised."""
    try:
        request = read(prefix + data)
    except RefusedError as error:
        status = error.response.status
    else:
        status = 200
        assert request is None or request.target.isascii()
    assert status in {200, 400, 413, 431}


def test_head_has_a_limit() -> None:
    """The request line and the header values together may have 10,240 bytes, as API Gateway counts them."""
    line = b"GET / HTTP/1.1"
    room = 10_240 - len(line) - len("localhost")
    data = line + b"\r\n" + HOST + b"A: " + b"x" * room
    assert read(data + b"\r\n\r\n") is not None
    for larger in (data + b"x\r\n\r\n", data * 10, line + b"\r\n" + b"A: b\r\n" * 20_000):
        with pytest.raises(RefusedError) as refused:
            read(larger)
        assert refused.value.response.status == 431


def test_body_has_a_limit() -> None:
    """More than 10 MB are refused, by their announced length or after they arrived in chunks."""
    head = b"POST / HTTP/1.1\r\n" + HOST
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 10
    whole = read(chunked + b"0\r\n\r\n")
    assert whole is not None
    assert len(whole.body) == 10 * 1024 * 1024
    for larger in (chunked + b"1\r\nx\r\n", head + b"Content-Length: 10485761\r\n\r\n"):
        with pytest.raises(RefusedError) as refused:
            read(larger)
        assert (refused.value.response.status, refused.value.size) == (413, 10_485_761)
        assert refused.value.response.body == b'{"message":"Request Entity Too Large"}'


def test_what_is_around_a_body_has_a_limit() -> None:
    """Endless trailers and chunks are refused, even if the body itself is small."""
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    for endless in (b"0\r\n" + b"A: b\r\n" * 2_000, b"1;" + b"x" * 100 + b"\r\nx\r\n"):
        reader = RequestReader(limits=Limits(head=100, body=1_000))
        reader.feed(head)
        for _ in range(40):
            reader.feed(endless)
        with pytest.raises(RefusedError) as refused:
            reader.take()
        assert refused.value.response.status == 413


def test_writes_an_answer() -> None:
    """A response has its length, its date and whether the connection continues."""
    response = Response(
        200, (("content-type", "text/plain"), ("set-cookie", "a"), ("set-cookie", "b")), b"hello"
    )
    head, _, body = write_response(response, head_only=False, keep_alive=True).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("HTTP/1.1 200 OK", b"hello")
    assert lines[2:] == [
        "content-type: text/plain",
        "set-cookie: a",
        "set-cookie: b",
        "content-length: 5",
        "connection: keep-alive",
    ]


def test_answers_without_a_body() -> None:
    """A response to HEAD has only the length, if it is known; 204 and 304 have neither body nor length."""
    assert write_response(Response(200, (), b"abc"), head_only=True, keep_alive=False).endswith(
        b"close\r\n\r\n"
    )
    assert b"content-length" not in write_response(Response(200), head_only=True, keep_alive=True)
    for status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        data = write_response(Response(status, (), b"abc"), head_only=False, keep_alive=True)
        assert b"content-length" not in data
        assert data.endswith(b"\r\n\r\n")


def test_headers_cannot_break_the_line() -> None:
    """A header with a line break is not sent."""
    with pytest.raises(ValueError, match="control"):
        write_response(Response(200, (("a", "b\r\nc: d"),)), head_only=False, keep_alive=True)
