"""Messages and changes of them, for the contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from shared.domain import keys
from shared.domain.changes import Change, ChangeKind
from shared.domain.messages import Draft, encode, preview
from shared.domain.model import Entry, Preview
from shared.storage.protocol import ChangeCommit, Changes, Committed, Reservation, Store
from tests.contract.samples import NOW, commitment, membership_of

THUMB: Final = "👍"


def post(store: Store, channel: str, user_id: str, text: str = "Hello", **fields: Any) -> Entry:
    """A message that is committed, with the preview that a post leaves; returns its entry."""
    [made] = post_batch(store, channel, user_id, [text], **fields)
    return made


def post_batch(store: Store, channel: str, user_id: str, texts: Sequence[str], **fields: Any) -> list[Entry]:
    """As ``post``, up to 25 messages in one commit."""
    reserved = store.reserve(channel, len(texts), preview(0, user_id, texts[-1], NOW))
    assert isinstance(reserved, Reservation)
    made = []
    for before, text in zip(reversed(range(len(texts))), texts, strict=True):
        seq = reserved.seq - before
        body = encode(channel, seq, user_id, NOW, Draft(text))
        made.append(Entry(seq, reserved.messages - before, NOW, body))
    tat = membership_of(store, keys.channel_of_log(channel), user_id).tat
    commit = commitment(channel, user_id, *made, tat_seen=tat, tat=tat + 1, **fields)
    assert store.commit(commit) == Committed()
    return made


def prepare(
    store: Store,
    channel: str,
    user_id: str,
    seq: int = 1,
    kind: ChangeKind = ChangeKind.REACTION_ADDED,
    **fields: Any,
) -> ChangeCommit:
    """A change of a message, prepared from what is stored now; ``fields`` are those of ``ChangeCommit``."""
    state, entry = store.read_message_state(channel, user_id, seq)
    assert state.head is not None
    assert state.membership is not None
    assert entry is not None
    rev = state.head.rev + 1
    if kind in {ChangeKind.PINNED, ChangeKind.UNPINNED}:
        change = Change(rev, kind, seq, user_id, NOW)
        commit = ChangeCommit(state.head, state.membership, entry, change, None)
        return replace(commit, pin=kind is ChangeKind.PINNED, **fields)
    emoji = THUMB if kind in {ChangeKind.REACTION_ADDED, ChangeKind.REACTION_REMOVED} else ""
    body = b'{"id":"%s","rev":%d}' % (keys.message_id(channel, seq).encode(), rev)
    change = Change(rev, kind, seq, user_id, NOW, body, emoji)
    commit = ChangeCommit(state.head, state.membership, entry, change, replace(entry, body=body, rev=rev))
    if kind in {ChangeKind.EDITED, ChangeKind.DELETED}:
        last: Preview | None = state.head.last
        text = "changed" if kind is ChangeKind.EDITED else ""
        shown = text if last is not None and last.seq == seq else None
        commit = replace(commit, preview=shown, is_gap=kind is ChangeKind.DELETED)
    return replace(commit, **fields)


def make(
    store: Store,
    channel: str,
    user_id: str,
    seq: int = 1,
    kind: ChangeKind = ChangeKind.REACTION_ADDED,
    **fields: Any,
) -> ChangeCommit:
    """Prepares and commits a change; returns it."""
    commit = prepare(store, channel, user_id, seq, kind, **fields)
    assert store.commit_change(commit) == Committed()
    return commit


def entry_at(store: Changes, channel: str, seq: int) -> Entry:
    """The entry at a position, which exists."""
    [found] = store.entries_at(channel, [seq])
    return found
