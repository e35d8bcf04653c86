"""A request's body, read once and validated by its route's model; refused in FastAPI's words."""

from __future__ import annotations

import json
from email.message import Message
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request

from shared.errors import MalformedRequestError

if TYPE_CHECKING:
    from fastapi._compat import ModelField

ABSENT: Final = object()
"""Stands for a body that was not sent; ``null`` was."""
MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required"}


async def read(request: Request) -> Any:  # noqa: ANN401 - any JSON
    """The body's JSON; its bytes, which no model takes, where it is not announced as JSON; ``ABSENT`` if it is empty.

    Raises:
        MalformedRequestError: it is no JSON, or too deep or its numbers too long for Python.
    """
    raw = await request.body()
    if not raw:
        return ABSENT
    if not _is_json(request.headers.get("content-type", "")):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedRequestError from None


@lru_cache(maxsize=16)  # Nearly all clients send the same; bounded, as any may send what it likes.
def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    kind = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (kind == "json" or kind.endswith("+json"))


def validated(given: Any, field: ModelField) -> tuple[Any, list[Any]]:  # noqa: ANN401 - any JSON
    """What the endpoint takes, and what is wrong with it, as pydantic says it."""
    if given is not ABSENT:
        return field.validate(given, loc=("body",))
    return (None, [MISSING]) if field.field_info.is_required() else (field.default, [])
