"""Converts a function's result to an HTTP response: HTTP API, payload format 2.0."""

import base64
import binascii
import json
import re
from typing import Any, Final

from local.gateway.cors import PREFIX as CORS_PREFIX
from local.gateway.wire import Response

# Set by the HTTP layer or by the gateway.
_NOT_FORWARDED: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade", "apigw-requestid"}
)

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class MalformedResultError(Exception):
    """The result cannot become a response. The text says what is wrong, and quotes nothing."""


def to_answer(result: Any) -> Response:  # noqa: ANN401  # any JSON
    """The response for a result.

    A result without a status is the body of a 200, as format 2.0 defines. The function's own CORS headers are dropped:
    those come from the API's configuration.

    Raises:
        MalformedResultError: the status, a header or the body is invalid.
    """
    if not isinstance(result, dict) or "statusCode" not in result:
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        return Response(200, (("content-type", "application/json"),), text.encode())
    headers = _headers(result.get("headers") or {})
    names = {name for name, _ in headers}
    # API Gateway's default; a function that returns JSON has to say so.
    default = () if "content-type" in names else (("content-type", "text/plain; charset=utf-8"),)
    cookies = tuple(("set-cookie", _text(cookie)) for cookie in _list(result.get("cookies") or []))
    return Response(_status(result["statusCode"]), (*headers, *default, *cookies), _body(result))


def _status(value: object) -> int:
    status = int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() else value
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:  # noqa: PLR2004  # HTTP
        raise MalformedResultError("statusCode is not the status of a final response")
    return status


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise MalformedResultError("headers are no mapping")
    named = ((name.lower(), _text(text)) for name, text in value.items())
    kept = tuple(
        (name, text)
        for name, text in named
        if name not in _NOT_FORWARDED and not name.startswith(CORS_PREFIX)
    )
    if not all(_NAME.fullmatch(name) for name, _ in kept):
        raise MalformedResultError("a header's name is malformed")
    return kept


def _text(value: object) -> str:
    """A header's value: text, or a number or boolean as JSON."""
    if isinstance(value, dict | list) or value is None:
        raise MalformedResultError("a header's value is not text")
    text = value if isinstance(value, str) else json.dumps(value)
    if _CONTROL.search(text):
        raise MalformedResultError("a header's value holds a control character")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise MalformedResultError("a header's value is not Latin-1") from error
    return text


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise MalformedResultError("cookies are no list")
    return value


def _body(result: dict[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResultError("body is no text")
    if not result.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedResultError("body is no base64") from error
