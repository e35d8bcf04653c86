"""Checks of frames by their schemas in ``asyncapi.json``."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from shared.domain.realtime import MAX_FRAME_BYTES
from tools import asyncapi


def check(frame: bytes) -> dict[str, Any]:
    """The frame as JSON, if clients may be sent it: within the limit, by its schema, and with no other fields."""
    assert len(frame) <= MAX_FRAME_BYTES
    given: dict[str, Any] = json.loads(frame)
    validator("server", given["type"]).validate(given)
    return given


@cache
def validator(side: str, kind: str) -> Draft202012Validator:
    """For frames of a type: ``client`` sends or ``server`` sends them."""
    components = asyncapi.document()["components"]
    payload = components["messages"][f"{side}{kind.capitalize()}"]["payload"]
    return Draft202012Validator(_closed(payload) | {"components": {"schemas": components["schemas"]}})


def _closed(schema: Any) -> Any:
    """The same schema, without fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    return closed | {"additionalProperties": False} if schema.get("type") == "object" else closed
