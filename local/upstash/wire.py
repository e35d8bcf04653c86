"""Upstash's REST form of the Redis protocol: parsing requests, writing responses. Pure functions."""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from local.gateway.wire import Request, Response
from local.upstash.resp import Failure, Reply, Status, encode_reply

MAX_BYTES: Final = 10 * 1024 * 1024  # of a request, and of each result


class RequestError(Exception):
    """The request cannot be parsed; the text is for the client, with status 400."""


class Style(enum.Enum):
    """The format of results."""

    TEXT = "json"
    BASE64 = "base64"
    RESP2 = "resp2"


def parameters(request: Request) -> list[tuple[bytes, bytes]]:
    """The query's names and values in order, decoded; bytes that are not UTF-8 are kept."""
    pairs = parse_qsl(request.query, keep_blank_values=True, errors="surrogateescape")
    return [(_raw(name), _raw(value)) for name, value in pairs]


def typed(status: int, body: bytes, content_type: str = "application/json") -> Response:
    """A response with the type of its body."""
    return Response(status, (("content-type", content_type),), body)


def style_of(request: Request) -> Style:
    """The style that the request's headers ask for.

    Raises:
        RequestError: They name an unknown one, or two that exclude each other.
    """
    encoding = request.header("upstash-encoding") or ""
    form = request.header("upstash-response-format") or "json"
    if encoding not in {"", "base64"} or form not in {"json", "resp2"}:
        raise RequestError("ERR unsupported Upstash-Encoding or Upstash-Response-Format")
    if encoding and form == "resp2":
        raise RequestError("ERR base64 encoding is not permitted with the resp2 format")
    return Style.RESP2 if form == "resp2" else Style.BASE64 if encoding else Style.TEXT


def read_command(body: bytes) -> list[bytes]:
    """The command in a body such as `["SET", "k", 1]`.

    Raises:
        RequestError: The body has none.
    """
    return _words(_parse(body))


def read_commands(body: bytes) -> list[list[bytes]]:
    """The commands in the body of a pipeline or transaction.

    Raises:
        RequestError: One of them cannot be parsed; none may run then.
    """
    rows = _parse(body)
    if not isinstance(rows, list):
        raise RequestError("expected JSON array")
    if not rows:
        raise RequestError("ERR empty pipeline request")
    return [_words(row) for row in rows]


def read_path(request: Request) -> list[bytes]:
    """The command of the path form: path segments, then the body, then the query without the token.

    `POST /set/k?EX=100` with the body `v` is SET k v EX 100; a parameter without a value is one word.
    """
    words = [unquote_to_bytes(part) for part in request.path.strip("/").split("/")]
    if request.body:
        words.append(request.body)
    for name, value in parameters(request):
        if name != b"_token":
            words += [name, value] if value else [name]
    return words


def error_answer(text: str, status: int = 400) -> Response:
    """A response with one error."""
    return typed(status, _dump({"error": text}))


def answer_one(reply: Reply, style: Style) -> Response:
    """The response to a single command."""
    reply = _within_limit(reply)
    status = 400 if isinstance(reply, Failure) else 200
    if style is Style.RESP2:
        return typed(status, encode_reply(reply), "application/octet-stream")
    return typed(status, _item(reply, style))


def answer_all(replies: Sequence[Reply], style: Style) -> Response:
    """The response to a pipeline, or to a transaction that ran."""
    fitting = [_within_limit(reply) for reply in replies]
    if style is Style.RESP2:
        return typed(200, b"".join(map(encode_reply, fitting)), "application/octet-stream")
    return typed(200, b"[" + b",".join(_item(reply, style) for reply in fitting) + b"]")


def size_error(actual: int) -> str:
    """The error for a request or result of `actual` bytes that exceeds the limit."""
    return f"ERR max request size exceeded. Limit: {MAX_BYTES} bytes, Actual: {actual} bytes"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    if not body.strip():
        raise RequestError("EOF")
    try:
        # Numbers keep their digits: 1.50 is stored as 1.50.
        return json.loads(
            body.decode(errors="replace"), parse_int=_Digits, parse_float=_Digits, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:
        raise RequestError("ERR failed to parse the request as JSON") from error


class _Digits(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _refuse(constant: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(constant)


def _words(row: object) -> list[bytes]:
    if not isinstance(row, list):
        raise RequestError("expected JSON array")
    if not row:
        raise RequestError("ERR empty command")
    return [_word(value) for value in row]


def _word(value: object) -> bytes:
    match value:
        case str():
            # Half a surrogate pair has no UTF-8 form; it becomes U+FFFD.
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
        case bool():
            return b"true" if value else b"false"
        case None:
            raise RequestError("ERR null args are not supported")
    raise RequestError(f'ERR unsupported arg type: "{"[" if isinstance(value, list) else "{"}": json.Delim')


def _item(reply: Reply, style: Style) -> bytes:
    if isinstance(reply, Failure):
        return _dump({"error": reply.text})
    return _dump({"result": _plain(reply, style)})


def _within_limit(reply: Reply) -> Reply:
    size = _size(reply)
    return reply if size <= MAX_BYTES else Failure(size_error(size))


def _size(reply: Reply) -> int:
    """Bytes of the strings in a reply."""
    if isinstance(reply, list):
        return sum(map(_size, reply))
    return len(reply) if isinstance(reply, bytes) else 0


def _plain(reply: Reply, style: Style) -> Any:  # noqa: ANN401 - any JSON
    match reply:
        case list():
            return [_plain(part, style) for part in reply]
        case Failure():
            return _plain(reply.text.encode(), style)
        case bytes():
            is_ok = isinstance(reply, Status) and reply == b"OK"
            if style is Style.BASE64 and not is_ok:
                return base64.b64encode(reply).decode()
            return reply.decode(errors="replace")
    return reply


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
