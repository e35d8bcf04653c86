"""Keys, ids and cursors: round trips, sort order, and nothing that reads as something else."""

from __future__ import annotations

import base64
import json
import re
from unicodedata import normalize

from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain import keys
from shared.domain.model import MAX_NAME_BYTES
from shared.domain.text import folded, is_visible

SEQS = st.integers(1, keys.MAX_SEQ)
CHANNELS = st.text(keys.ID_ALPHABET, min_size=16, max_size=26)
USERS = st.text(min_size=1, max_size=40).filter(keys.is_user_id)
NAMES = (
    st.text("oOpPsS aé\xc9e\u0301ßǅ!~", min_size=1, max_size=8)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80)
).filter(lambda name: len(name.encode()) <= MAX_NAME_BYTES)
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(), max_size=4)


@given(SEQS, SEQS)
def test_sort_keys_of_entries_sort_as_positions(one: int, other: int) -> None:
    """And tell the position again."""
    assert (one < other) == (keys.entry_sk(one) < keys.entry_sk(other))
    assert keys.seq_of(keys.entry_sk(one)) == one


@given(SEQS)
def test_an_entry_is_nothing_else(seq: int) -> None:
    """No entry's sort key is the head's or one of an idempotency record."""
    assert keys.entry_sk(seq) != keys.HEAD_SK
    assert not keys.entry_sk(seq).startswith("I#")


@given(CHANNELS, SEQS, SEQS)
def test_message_ids_sort_as_positions(channel: str, one: int, other: int) -> None:
    """And with the channel it gives the position back."""
    first, second = keys.message_id(channel, one), keys.message_id(channel, other)
    assert (one < other) == (first < second)
    assert keys.seq_of_message(channel, first) == one


@given(CHANNELS, CHANNELS, SEQS)
def test_a_message_id_of_another_channel_is_none(channel: str, other: str, seq: int) -> None:
    """Ids are unique everywhere, so one channel's never finds another's message."""
    assert (keys.seq_of_message(other, keys.message_id(channel, seq)) is None) == (channel != other)


@given(CHANNELS, st.text())
def test_any_text_is_a_message_id_or_none(channel: str, text: str) -> None:
    """Nothing raises; what is taken for an id is exactly that id."""
    for tried in (text, f"{channel}-{text}"):
        seq = keys.seq_of_message(channel, tried)
        assert seq is None or keys.message_id(channel, seq) == tried


def test_positions_that_no_log_has_are_no_message_ids() -> None:
    """Zero, and more than 12 digits."""
    channel = "0" * 16
    assert keys.seq_of_message(channel, f"{channel}-{'0' * 8}") is None
    assert keys.seq_of_message(channel, f"{channel}-{'v' * 8}") is None
    assert keys.seq_of_message(channel, keys.message_id(channel, keys.MAX_SEQ)) == keys.MAX_SEQ


@given(USERS, KEYS, USERS, KEYS)
@example("a", "b#c", "a#b", "c")
@example("a b", "c", "a%20b", "c")
def test_idempotency_records_of_two_requests_never_collide(
    user: str, key: str, other: str, other_key: str
) -> None:
    """With any user ids and keys."""
    same = keys.idempotency_record_sk(user, key) == keys.idempotency_record_sk(other, other_key)
    assert same == ((user, key) == (other, other_key))


@given(USERS, CHANNELS)
def test_keys_tell_their_ids(user: str, channel: str) -> None:
    """Each key can be parsed back into the ids that it was built from."""
    assert keys.user_of(keys.user_pk(user)) == user
    assert keys.channel_of(keys.channel_pk(channel)) == channel
    assert keys.channel_of(keys.membership_sk(channel)) == channel
    assert keys.user_pk(user) != keys.channel_pk(channel)


@given(NAMES, CHANNELS, NAMES, CHANNELS)
@example("Ops a", "0" * 16, "ops", "v" * 26)
@example("ops", "1" * 16, "OPS", "0" * 16)
@example("release notes 2026-01", "1" * 16, "Release notes 2026-02", "0" * 16)
@example("e\u0301", "0" * 16, "\xc9", "1" * 16)
@example("ops!", "0" * 16, "ops", "0" * 16)
def test_public_channels_sort_by_the_whole_folded_name(
    name: str, channel: str, other: str, second: str
) -> None:
    """Without case, accents alike however encoded, shorter names first, then by id; as DynamoDB sorts, by bytes."""
    one, two = keys.public_name(name, channel), keys.public_name(other, second)
    assert (one.encode() < two.encode()) == ((folded(name), channel) < (folded(other), second))
    assert (one < two) == (one.encode() < two.encode())
    assert len(one.encode()) <= 1_024  # DynamoDB's limit
    assert keys.is_public_name(one, channel)
    assert keys.is_public_name(one, second) == (channel == second)


@given(NAMES)
def test_a_name_folds_to_one_form(name: str) -> None:
    """In any case and with any encoding of accents; within three times its bytes."""
    for form in ("NFC", "NFD"):
        assert folded(normalize(form, name)) == folded(name)
    assert len(folded(name).encode()) <= 3 * len(normalize("NFC", name).encode())


@given(PARTS)
def test_a_cursor_comes_back(parts: list[str | int]) -> None:
    """The same parts, and only characters that need no quoting in a URL."""
    cursor = keys.encode_cursor(*parts)
    assert keys.decode_cursor(cursor, *[type(part) for part in parts]) == tuple(parts)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", cursor)


@given(PARTS)
def test_a_cursor_given_out_before_comes_back(parts: list[str | int]) -> None:
    """Cursors were once escaped to ASCII; those are still accepted."""
    cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    assert keys.decode_cursor(cursor, *[type(part) for part in parts]) == tuple(parts)


@given(PARTS, st.lists(st.sampled_from([int, str]), max_size=4))
def test_a_cursor_of_other_kinds_is_none(parts: list[str | int], kinds: list[type]) -> None:
    """A cursor of another listing is not taken for one of this."""
    taken = keys.decode_cursor(keys.encode_cursor(*parts), *kinds)
    assert (taken is not None) == ([type(part) for part in parts] == kinds)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    """Nothing raises, and what is taken can be stored and sent."""
    for kinds in ((int, str), (str,), (int,)):
        _assert_plausible(text, *kinds)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
)


@given(JSON)
@example([True])
@example(["\ud800"])
@example([1.0])
@example({"a": 1})
def test_any_json_is_a_cursor_or_none(value: object) -> None:
    """Cursors are foreign text: made up ones are refused, or are what a real one could be."""
    text = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    for kinds in ((int, str), (str,), (int,)):
        _assert_plausible(text, *kinds)


def test_monstrous_cursors_are_none() -> None:
    """Neither deep nesting nor a number of many digits raises."""
    for raw in (b"[" * 100_000, b"[" + b"9" * 10_000 + b"]", b'["\\ud800"]', b"", b"[NaN]"):
        assert keys.decode_cursor(base64.urlsafe_b64encode(raw).decode().rstrip("="), int) is None


def _assert_plausible(text: str, *kinds: type) -> None:
    parts = keys.decode_cursor(text, *kinds)
    if parts is not None:
        assert [type(part) for part in parts] == list(kinds)
        assert json.dumps(parts, ensure_ascii=False).encode()


@given(st.text())
@example("ada")
@example("auth0|5f7c8ec7")
@example("a" * 129)
@example("ü" * 65)
@example("a\n")
@example("a\x9b")
@example("\u200b")
def test_user_ids_are_short_and_fit_into_a_path(text: str) -> None:
    """1 to 128 bytes of UTF-8, none that divides or ends a path, no control characters, no lone surrogates."""
    fits = text != "" and not re.search(r"[/?#%\\\x00-\x1f\x7f\ud800-\udfff]", text)
    stored = bool(fits and text not in {".", ".."} and len(text.encode()) <= 128)
    assert keys.is_stored_user_id(text) == stored
    unfit = re.search(r"[\x80-\x9f\u2028-\u202e\u2066-\u2069\ufffd]", text)
    assert keys.is_user_id(text) == (stored and not unfit and is_visible(text))


@given(CHANNELS, st.text())
def test_channel_ids_are_of_one_form(channel: str, text: str) -> None:
    """16 to 26 digits of base 32, and nothing before or after."""
    assert keys.is_channel_id(channel)
    for tried in (text, channel + text):
        assert keys.is_channel_id(tried) == bool(re.fullmatch(r"[0-9a-v]{16,26}", tried, re.ASCII))
    assert not keys.is_channel_id(channel + "\n")


def test_new_channel_ids_differ() -> None:
    """A thousand of them, all of the right form."""
    made = {keys.new_channel_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(keys.is_channel_id, made))


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_derived_channel_ids_follow_from_their_parts(parts: list[str], others: list[str]) -> None:
    """The same parts give the same id, others another; parts never run into each other."""
    derived = keys.derived_channel_id("direct", *parts)
    assert keys.is_channel_id(derived)
    assert len(derived) == 26
    assert (derived == keys.derived_channel_id("direct", *others)) == (parts == others)
    assert derived != keys.derived_channel_id("key", *parts)


@given(CHANNELS, SEQS, SEQS)
def test_the_id_of_a_reply_tells_thread_and_channel(channel: str, root: int, seq: int) -> None:
    """The thread's log id is the id of its root; a reply has no thread of its own."""
    thread = keys.message_id(channel, root)
    reply = keys.message_id(thread, seq)
    assert keys.place_of_message(channel, reply) == (thread, seq)
    assert keys.place_of_message(channel, thread) == (channel, root)
    assert (keys.root_of(thread), keys.root_of(channel)) == ((channel, root), None)
    assert {keys.channel_of_log(each) for each in (channel, thread)} == {channel}
    assert (keys.is_log_id(channel), keys.is_log_id(thread), keys.is_log_id(reply)) == (True, True, False)
    assert keys.is_thread_of(channel, thread)
    assert not keys.is_thread_of(channel, reply)
    assert keys.seq_of_message(channel, reply) is None


@given(CHANNELS, CHANNELS, st.text() | SEQS.map(str))
def test_any_text_has_a_place_in_its_channel_or_none(channel: str, other: str, text: str) -> None:
    """Nothing raises; what is no message of the channel is at position 0, where nothing is."""
    for tried in (text, f"{channel}-{text}", f"{channel}-00000001-{text}", keys.message_id(other, 1)):
        log, seq = keys.place_of_message(channel, tried)
        assert keys.channel_of_log(log) == channel
        assert seq == 0 or keys.message_id(log, seq) == tried
