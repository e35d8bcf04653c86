"""A message's JSON: encoded once, when it is posted or redacted; never parsed when it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from shared.domain import keys
from shared.domain.clock import from_rfc3339, rfc3339
from shared.domain.mentions import NOBODY, Mentions
from shared.domain.model import ERASED, MAX_PREVIEW, MAX_PREVIEW_BYTES, Entry, Preview
from shared.domain.text import beginning


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as sent by its author."""

    text: str
    client_message_id: str | None = None
    metadata: dict[str, Any] | None = None
    links: dict[str, str] = field(default_factory=dict)
    """Of a reply that is also in the channel, and of its copy there: where the other one is."""


def dumps(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Compact JSON; raises ValueError for values that JSON cannot represent (NaN, lone surrogates)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def encode(
    channel_id: str,
    seq: int,
    sender: str,
    created_at: int,
    draft: Draft,
    mentions: Mentions = NOBODY,
) -> bytes:
    """The message's JSON as every client gets it, until it is changed or redacted."""
    message: dict[str, Any] = {
        "id": keys.message_id(channel_id, seq),
        "seq": seq,
        "sender": sender,
        "text": draft.text,
        "created_at": rfc3339(created_at),
    }
    if draft.client_message_id is not None:
        message["client_message_id"] = draft.client_message_id
    if draft.metadata is not None:
        message["metadata"] = draft.metadata
    return dumps(message | draft.links | mentions_json(mentions))


def mentions_json(mentions: Mentions) -> dict[str, Any]:
    """What a message says of whom it names."""
    found: dict[str, Any] = {"mentions": list(mentions.users)} if mentions.users else {}
    return found | ({"mentions_everybody": True} if mentions.everybody else {})


def sender_of(body: bytes) -> str:
    """The sender of a stored message."""
    return str(json.loads(body)["sender"])


def redacted(body: bytes) -> bytes:
    """The message without sender, text and metadata; keeps its id, position and time. Idempotent."""
    message = json.loads(body)
    kept = {"id": message["id"], "seq": message["seq"], "sender": ERASED, "text": ""}
    return dumps(kept | {"created_at": message["created_at"], "redacted": True})


def preview(seq: int, sender: str, text: str, created_at: int) -> Preview:
    """The start of a text, at most 100 characters and 140 bytes, cut between graphemes."""
    return Preview(seq, sender, beginning(text, MAX_PREVIEW, MAX_PREVIEW_BYTES), created_at)


def preview_of(entry: Entry) -> Preview:
    """The preview of a stored message, to repair a preview after a void or a redaction."""
    message = json.loads(entry.body or b"{}")
    return preview(entry.seq, message["sender"], message["text"], from_rfc3339(message["created_at"]))


def request_hash(*parts: Any) -> bytes:  # noqa: ANN401 - any JSON
    """A hash to compare two requests under one idempotency key: 128 bits of SHA-256."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()
    return sha256(canonical).digest()[:16]
