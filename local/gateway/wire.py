"""HTTP/1.1 as bytes: reading requests, writing responses. No sockets, so that malformed input is easy to test.

`httptools` parses the messages. What API Gateway refuses beyond HTTP's own rules, and its limits, are here.
"""

import json
import re
import time
from collections import deque
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes that a server accepts, in bytes; the defaults are API Gateway's quotas.

    Attributes:
        head: the request line and the header values together. Names, colons and line ends do not count, but reading
            ends when the whole head exceeds eight times this size.
        body: the payload. Including the chunks' overhead, reading ends at twice this size.
    """

    head: int = 10_240
    body: int = 10 * 1024 * 1024


class RefusedError(Exception):
    """The request cannot be read. The connection ends after the response.

    Args:
        status: the response's status.
        message: API Gateway's message; the status's own phrase by default.
        size: of a payload that is too large: bytes announced, or received.
    """

    def __init__(self, status: HTTPStatus, message: str | None = None, *, size: int = 0) -> None:
        super().__init__(status)
        self.response: Final = Response.message(status, message)
        self.size: Final = size


@dataclass(frozen=True)
class Request:
    """A request as received. Header names are in lower case, in their order, with their duplicates."""

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
class Response:
    """A response. `headers` have neither length nor connection: `write_response` adds those."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def message(cls, status: HTTPStatus, text: str | None = None, **headers: str) -> "Response":
        """API Gateway's own form of a response, for example `{"message":"Not Found"}`."""
        body = json.dumps({"message": text or status.phrase}, separators=(",", ":")).encode()
        named = ((name.replace("_", "-"), value) for name, value in headers.items())
        return cls(status, (("content-type", "application/json"), *named), body)

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """The same response with more headers."""
        return Response(self.status, (*self.headers, *headers), self.body)


class RequestReader:
    """Parses the requests that a client sends on one connection.

    Args:
        source_ip: the client's address.
        limits: sizes above which requests are refused.
    """

    def __init__(self, source_ip: str = "127.0.0.1", limits: Limits | None = None) -> None:
        self._source_ip = source_ip
        self._limits = limits or Limits()
        self._parser = HttpRequestParser(self)
        self._whole: deque[Request] = deque()
        self._refusal: RefusedError | None = None
        self._awaits_continue = False
        self._clear()
        self.begun = False
        """Whether a request has been received in part."""

    def _clear(self) -> None:
        self._fed = 0
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._request: Request | None = None
        self._body: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take received bytes; empty at the end of the stream."""
        if not data and self.begun:
            self._refusal = self._refusal or RefusedError(HTTPStatus.BAD_REQUEST)
        while data and self._refusal is None:
            try:
                data = self._parse(data)
            except HttpParserError:
                # One of the parser's callbacks below may have set a more precise error.
                self._refusal = self._refusal or RefusedError(HTTPStatus.BAD_REQUEST)

    def take(self) -> Request | None:
        """The next request, if it is complete.

        Raises:
            RefusedError: this is not an HTTP/1.1 request, or it is too large. Nothing follows.
        """
        if self._whole:
            return self._whole.popleft()
        if self._refusal:
            raise self._refusal
        return None

    def take_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body; true once."""
        awaits, self._awaits_continue = self._awaits_continue and self.begun, False
        return awaits and self._refusal is None

    def _parse(self, data: bytes) -> bytes:
        """Parse a piece; the rest begins the next request."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            # No other protocol is spoken here: the upgrade is ignored (RFC 9110, 7.8).
            return data[upgrade.args[0] :]
        self._fed += len(data)
        if self._request is None and self._fed > 8 * self._limits.head:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self._fed > 8 * self._limits.head + 2 * self._limits.body:
            self._refuse_size(self._fed)
        return b""

    # The parser's callbacks; it treats exceptions as errors of the message.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._clear()
        self.begun = True

    def on_url(self, target: bytes) -> None:
        """A part of the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or after the body one trailer, which is dropped."""
        if self._request is None:
            self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        method, version = self._parser.get_method().decode(), self._parser.get_http_version()
        line = f"{method} {self._target.decode('latin-1')} HTTP/{version}"
        if len(line) + sum(len(value) for _, value in self._headers) > self._limits.head:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if version not in {"1.0", "1.1"} or (version == "1.1" and len(self._values("host")) != 1):
            self._refuse(HTTPStatus.BAD_REQUEST)
        if [coding.lower() for coding in self._values("transfer-encoding")] not in ([], ["chunked"]):
            self._refuse(HTTPStatus.BAD_REQUEST)
        lengths = self._values("content-length")
        if lengths and int(lengths[0]) > self._limits.body:
            self._refuse_size(int(lengths[0]))
        self._awaits_continue = [value.lower() for value in self._values("expect")] == ["100-continue"]
        headers = tuple((name, _readable(value)) for name, value in self._headers)
        self._request = Request(method, self._path_and_query(), version, headers, b"", self._source_ip)

    def on_body(self, part: bytes) -> None:
        """A part of the body, chunked or not."""
        self._size += len(part)
        if self._size > self._limits.body:
            self._refuse_size(self._size)
        self._body.append(part)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._request:
            self._whole.append(replace(self._request, body=b"".join(self._body)))
        self.begun = False

    def _values(self, name: str) -> list[str]:
        return [value for key, value in self._headers if key == name]

    def _path_and_query(self) -> str:
        target = self._target.decode("ascii")
        if "://" in target.partition("?")[0]:
            # The absolute form, used with proxies: the path begins behind the authority.
            target = "/" + target.partition("://")[2].partition("/")[2]
        if not target.startswith("/") and target != "*":
            self._refuse(HTTPStatus.BAD_REQUEST)
        return target

    def _refuse(self, status: HTTPStatus, message: str | None = None, *, size: int = 0) -> NoReturn:
        self._refusal = RefusedError(status, message, size=size)
        raise HttpParserError

    def _refuse_size(self, size: int) -> NoReturn:
        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large", size=size)


def write_response(response: Response, *, head_only: bool, keep_alive: bool) -> bytes:
    """The bytes of a response. `head_only` leaves out the body, for HEAD.

    Raises:
        ValueError: a header contains a line break or is not Latin-1.
    """
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {response.status} {reason}", f"date: {formatdate(time.time(), usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    # A function's response to HEAD has no body, so its length is not that of GET's (RFC 9110, 8.6).
    if response.status not in _BODILESS and (response.body or not head_only):
        lines.append(f"content-length: {len(response.body)}")
    lines.append("connection: " + ("keep-alive" if keep_alive else "close"))
    if any(_CONTROL.search(line) for line in lines):
        raise ValueError("A header holds a control character.")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if head_only or response.status in _BODILESS else head + response.body


def _readable(value: str) -> str:
    """Decodes UTF-8, and anything else as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value
