"""A message's JSON, its preview, and the hash of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain import keys
from shared.domain.messages import Draft, dumps, encode, preview, preview_of, request_hash
from shared.domain.model import MAX_PREVIEW, MAX_PREVIEW_BYTES, Entry, Preview
from shared.domain.text import beginning

CHANNEL = "0123456789abcdef"
NOW = 1_795_459_464_123
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
SEQS = st.integers(1, keys.MAX_SEQ)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(SEQS, TEXTS, st.none() | TEXTS, st.none() | st.dictionaries(TEXTS, JSON, max_size=3))
def test_a_message_is_json_with_what_was_given(
    seq: int, text: str, client_id: str | None, metadata: dict[str, Any] | None
) -> None:
    """Text and metadata come back as they were; what was not given is not there."""
    message = json.loads(encode(CHANNEL, seq, "ada", NOW, Draft(text, client_id, metadata)))
    given = {"client_message_id": client_id, "metadata": metadata}
    assert message == {
        "id": keys.message_id(CHANNEL, seq),
        "seq": seq,
        "sender": "ada",
        "text": text,
        "created_at": "2026-11-23T18:44:24.123Z",
    } | {name: value for name, value in given.items() if value is not None}


def test_json_has_no_needless_bytes() -> None:
    """No blanks, and no escapes but those that JSON needs."""
    assert dumps({"a": ["ü🦜", "\n"]}) == '{"a":["ü🦜","\\n"]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    """Rather than written in a way that no client reads."""
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        dumps({"metadata": value})


@given(SEQS, TEXTS)
@example(1, "🦜" * 100)
@example(1, "ü" * 100)
@example(1, "x" * 101)
@example(1, "x" + "🦜" * 40)
def test_a_preview_is_the_start_of_the_text(seq: int, text: str) -> None:
    """Whole graphemes, at most 100 characters and 140 bytes."""
    shown = preview(seq, "ada", text, NOW)
    assert shown.text == beginning(text, MAX_PREVIEW, MAX_PREVIEW_BYTES)
    assert len(shown.text) <= MAX_PREVIEW
    assert len(shown.text.encode()) <= MAX_PREVIEW_BYTES


@given(SEQS, TEXTS)
def test_a_preview_can_be_made_again_from_the_stored_message(seq: int, text: str) -> None:
    """The same as when it was posted."""
    body = encode(CHANNEL, seq, "ada", NOW, Draft(text))
    assert preview_of(Entry(seq, seq, NOW + 9, body)) == preview(seq, "ada", text, NOW)
    assert preview(seq, "ada", "hi", NOW) == Preview(seq, "ada", "hi", NOW)


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3))
@example(["a", "b"], ["ab"])
@example([{"a": 1, "b": 2}], [{"b": 2, "a": 1}])
@example([True], [1])
def test_a_hash_tells_requests_apart(one: list[Any], other: list[Any]) -> None:
    """Equal for the same request with its fields in any order; 128 bits."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (request_hash(*one) == request_hash(*other)) == same
    assert len(request_hash(*one)) == 16
