"""Planted bugs in posting: a transaction that is seen in part is taken for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import access
from shared.use_cases.post_message import Posted, _Post

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Draft
    from shared.model import Entry, Receipt
    from shared.services import Services


class _ReplaysWhatItSees(_Post):
    def replay(self, receipt: Receipt) -> Posted:
        entries = self._store.entries(self._channel_id, receipt.seq - receipt.count + 1, receipt.seq)
        return Posted([entry.body or b"" for entry in entries], receipt.seq, None)


class _AsksForTheFirst(_Post):
    def _void(self, entries: list[Entry]) -> bool:
        return super()._void(entries[:1]) and super()._void(entries)


def replay_in_part(
    services: Services, user_id: str, channel_id: str, drafts: Sequence[Draft], key: str | None
) -> Posted:
    """Answers a repeated post with those of its messages that are seen."""
    return _posted(_ReplaysWhatItSees(services, user_id, channel_id, drafts, key))


def acknowledge_in_part(
    services: Services, user_id: str, channel_id: str, drafts: Sequence[Draft], key: str | None
) -> Posted:
    """Acknowledges a batch whose first message stands, though the others are not seen yet."""
    return _posted(_AsksForTheFirst(services, user_id, channel_id, drafts, key))


def _posted(post: _Post) -> Posted:
    look = post._store.look(post._channel_id, post._user_id, post._key)  # noqa: SLF001 - the bug is a post of another kind
    if look.receipt and access.member(look):
        return post.replay(look.receipt)
    return post.run(*access.able(look, "post"))
