"""A request's body, read once and validated by its route's model; refused in FastAPI's words."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request

from shared.errors import MalformedRequestError, UnsupportedMediaTypeError

if TYPE_CHECKING:
    from fastapi._compat import ModelField

ABSENT: Final = object()
"""Stands for a body that was not sent; ``null`` was."""
JSON: Final = "application/json"
UTF_8: Final = frozenset({"utf-8", "utf8"})
IDENTITY: Final = "identity"
_KIND: Final = re.compile(r"application/(?:[\w!#$&^.+-]+\+)?json", re.ASCII)
MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required"}


async def read(request: Request) -> Any:  # noqa: ANN401 - any JSON
    """The body's JSON; ``ABSENT`` if it is empty, whatever the headers say of it.

    Raises:
        UnsupportedMediaTypeError: the headers announce anything but JSON in UTF-8 as it is.
        MalformedRequestError: it is no JSON, or too deep or its numbers too long for Python.
    """
    raw = await request.body()
    if not raw:
        return ABSENT
    if (request.headers.get("content-encoding") or IDENTITY).strip().lower() != IDENTITY:
        raise _unsupported("content-encoding", "A body is sent uncompressed.", {"Accept-Encoding": IDENTITY})
    if not _is_json(request.headers.get("content-type", "")):
        raise _unsupported("content-type", f"A body is sent as {JSON}, in UTF-8.", {"Accept": JSON})
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedRequestError from None


def _unsupported(name: str, detail: str, accepted: dict[str, str]) -> UnsupportedMediaTypeError:
    """With the header by which RFC 9110, 15.5.16, says what would be taken."""
    errors = [{"field": f"header.{name}", "detail": detail}]
    return UnsupportedMediaTypeError(detail, errors=errors, headers=accepted)


@lru_cache(maxsize=16)  # Nearly all clients send the same; bounded, as any may send what it likes.
def _is_json(content_type: str) -> bool:
    """Whether it is JSON's or one that is built on it (``+json``), and of no charset but UTF-8."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    named = [parameter.partition("=") for parameter in parameters]
    charsets = {value.strip('"') for name, _, value in named if name == "charset"}
    # API Gateway joins a doubled header by a comma.
    return _KIND.fullmatch(kind) is not None and charsets <= UTF_8 and "," not in content_type


def validated(given: Any, field: ModelField) -> tuple[Any, list[Any]]:  # noqa: ANN401 - any JSON
    """What the endpoint takes, and what is wrong with it, as pydantic says it."""
    if given is not ABSENT:
        return field.validate(given, loc=("body",))
    return (None, [MISSING]) if field.field_info.is_required() else (field.default, [])
