"""HTTP/1.1 as bytes: reading a request, writing an answer. No sockets, so that garbage is cheap to test."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedIOBase
from typing import Final

MAX_BODY: Final = 10 * 1024 * 1024
"""API Gateway's quota for a request's payload, in bytes."""

MAX_HEAD: Final = 10_240
"""API Gateway's quota for the request line and the header values together, in bytes."""

# Names, colons and line ends do not count towards the quota, yet reading must end somewhere.
_MAX_HEAD_READ: Final = 4 * MAX_HEAD
_MAX_CHUNK_LINE: Final = 1_024

_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/(1\.[01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class RefusedError(Exception):
    """The request cannot be read. Carries the status of the answer; the connection ends with it."""

    def __init__(self, status: HTTPStatus, message: str | None = None) -> None:
        super().__init__(status)
        self.answer: Final = Answer.message(status, message)


@dataclass(frozen=True)
class Request:
    """A request as it came. Header names are in lower case, in their order, with their duplicates."""

    method: str
    target: str
    version: str = "1.1"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    source_ip: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The path as it was sent, still percent-encoded, in ASCII."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query string as it was sent, without its question mark."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """A header's first value; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def keeps_alive(self) -> bool:
        """Whether the client may send another request on this connection."""
        options = {option.strip().lower() for option in (self.header("connection") or "").split(",")}
        return self.version == "1.1" and "close" not in options


@dataclass(frozen=True)
class Answer:
    """A response. `headers` hold neither length nor connection: those belong to the wire."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def message(cls, status: HTTPStatus, text: str | None = None, **headers: str) -> "Answer":
        """API Gateway's own form of an answer, for example `{"message":"Not Found"}`."""
        body = json.dumps({"message": text or status.phrase}, separators=(",", ":")).encode()
        named = ((name.replace("_", "-"), value) for name, value in headers.items())
        return cls(status, (("content-type", "application/json"), *named), body)

    def with_headers(self, *headers: tuple[str, str]) -> "Answer":
        """The same answer with more headers."""
        return Answer(self.status, (*self.headers, *headers), self.body)


def read_request(
    stream: BufferedIOBase, *, source_ip: str = "127.0.0.1", on_continue: Callable[[], None] = lambda: None
) -> Request | None:
    """Read one request; None when the client has ended the connection.

    Args:
        stream: what the client sends.
        source_ip: where it sends it from.
        on_continue: called before the body is read when the client waits for `100 Continue`.

    Raises:
        RefusedError: this is no HTTP/1.1 request, or it is larger than API Gateway takes.
        TimeoutError: the stream's own, when the client sends nothing more.
    """
    lines = list(_head(stream))
    if not lines:
        return None
    method, target, version = _request_line(lines[0])
    headers = tuple(_header(line) for line in lines[1:])
    if len(lines[0]) + sum(len(value) for _, value in headers) > MAX_HEAD:
        raise RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if version == "1.1" and sum(name == "host" for name, _ in headers) != 1:
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    bodiless = Request(method, target, version, headers, b"", source_ip)
    body = _body(stream, bodiless, on_continue)
    return Request(method, target, version, tuple(_readable(headers)), body, source_ip)


def write_answer(answer: Answer, *, head_only: bool, keep_alive: bool) -> bytes:
    """The bytes of an answer. `head_only` leaves out the body, as HEAD wants it.

    Raises:
        ValueError: a header cannot be sent: it breaks the line or is not Latin-1.
    """
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {answer.status} {reason}", f"date: {formatdate(time.time(), usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    # A function answers HEAD without a body: its length says nothing of that which GET would get (RFC 9110, 8.6).
    if answer.status not in _BODILESS and (answer.body or not head_only):
        lines.append(f"content-length: {len(answer.body)}")
    lines.append("connection: " + ("keep-alive" if keep_alive else "close"))
    if any(_CONTROL.search(line) for line in lines):
        raise ValueError("A header holds a control character.")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if head_only or answer.status in _BODILESS else head + answer.body


def _head(stream: BufferedIOBase) -> Iterator[str]:
    """The lines before the body, without their ends; none at all when the stream is at its end."""
    size, begun = 0, False
    while True:
        line = stream.readline(_MAX_HEAD_READ + 1)
        size += len(line)
        if size > _MAX_HEAD_READ:
            raise RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not line.endswith(b"\n"):
            if line or begun:
                raise RefusedError(HTTPStatus.BAD_REQUEST)
            return
        text = line.rstrip(b"\r\n").decode("latin-1")
        # Empty lines before a request are forgiven (RFC 9112, 2.2).
        if text:
            begun = True
            yield text
        elif begun:
            return


def _request_line(line: str) -> tuple[str, str, str]:
    hit = _REQUEST_LINE.fullmatch(line)
    if hit is None:
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    method, target, version = hit.groups()
    if "://" in target.partition("?")[0]:
        # The absolute form, which proxies use: the path begins behind the authority.
        target = "/" + target.partition("://")[2].partition("/")[2]
    if not target.startswith("/") and target != "*":
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    return (
        method,
        "".join(character if character.isascii() else f"%{ord(character):02X}" for character in target),
        version,
    )


def _header(line: str) -> tuple[str, str]:
    hit = _HEADER.fullmatch(line)
    if hit is None or _CONTROL.search(line):
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    return hit[1].lower(), hit[2].strip(" \t")


def _readable(headers: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    """Values as text: what is UTF-8 is read as such, all else as Latin-1."""
    for name, value in headers:
        try:
            yield name, value.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            yield name, value


def _body(stream: BufferedIOBase, request: Request, on_continue: Callable[[], None]) -> bytes:
    lengths = {value for name, value in request.headers if name == "content-length"}
    codings = [value.lower() for name, value in request.headers if name == "transfer-encoding"]
    if codings and (lengths or codings != ["chunked"] or request.version != "1.1"):
        # Two ways to say where the body ends: the next request could be read from within it.
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    if len(lengths) > 1 or not all(re.fullmatch("[0-9]{1,18}", length) for length in lengths):
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    length = int(lengths.pop()) if lengths else 0
    if length > MAX_BODY:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
    if (request.header("expect") or "").lower() == "100-continue":
        on_continue()
    return b"".join(_chunks(stream)) if codings else _exactly(stream, length)


def _exactly(stream: BufferedIOBase, length: int) -> bytes:
    data = stream.read(length) if length else b""
    if len(data) < length:
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    return data


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    total = 0
    while size := _chunk_size(stream):
        total += size
        if total > MAX_BODY:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
        yield _exactly(stream, size)
        if stream.readline(3) not in {b"\r\n", b"\n"}:
            raise RefusedError(HTTPStatus.BAD_REQUEST)
    # Trailers are read and dropped.
    trailers = 0
    while (line := stream.readline(_MAX_CHUNK_LINE)) not in {b"\r\n", b"\n"}:
        trailers += len(line)
        if not line.endswith(b"\n") or trailers > MAX_HEAD:
            raise RefusedError(HTTPStatus.BAD_REQUEST)


def _chunk_size(stream: BufferedIOBase) -> int:
    line = stream.readline(_MAX_CHUNK_LINE)
    hit = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\r?\n", line)
    if hit is None:
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    return int(hit[1], 16)
