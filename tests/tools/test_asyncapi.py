"""The AsyncAPI document; `tests/functions/test_receive_frame.py` compares its examples with its schemas."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from shared.domain.frames import FrameType
from tools import asyncapi


def test_document_has_not_drifted() -> None:
    """The committed asyncapi.json is up to date."""
    assert json.loads(asyncapi.DOCUMENT.read_text(encoding="utf-8")) == asyncapi.document()


def test_every_frame_is_described() -> None:
    """In a schema that is one, in an operation, and in the tables of docs/realtime.md."""
    document = asyncapi.document()
    assert set(asyncapi.FROM_CLIENTS) == set(FrameType) == set(asyncapi.ANSWERS)
    for message in document["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])
    said = (asyncapi.ROOT / "docs/realtime.md").read_text(encoding="utf-8")
    from_clients, _, rest = said.partition("### From the client")[2].partition("### To the client")
    for kinds, text in ((asyncapi.FROM_CLIENTS, from_clients), (asyncapi.TO_CLIENTS, rest)):
        assert {kind for kind in kinds if f"\n| `{kind}` |" not in text} == set()
    named = json.dumps(document["operations"])
    assert {name for name in document["components"]["messages"] if f'/{name}"' not in named} == set()
