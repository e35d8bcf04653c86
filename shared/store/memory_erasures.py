"""The part of the storage in memory that erases."""

from __future__ import annotations

import threading
from dataclasses import replace

from shared.model import ERASED, Entry, Former, Head


class MemoryErasures:
    """See ``shared.store.interface.Erasures``."""

    _heads: dict[str, Head]
    _entries: dict[str, dict[int, Entry]]
    _formers: dict[tuple[str, str], Former]
    _lock: threading.RLock

    def former_memberships(self, user_id: str) -> list[Former]:
        """See ``Erasures``."""
        with self._lock:
            return [former for (_, user), former in sorted(self._formers.items()) if user == user_id]

    def forget_former(self, user_id: str, former: Former) -> None:
        """See ``Erasures``."""
        key = (former.channel_id, user_id)
        with self._lock:
            found = self._formers.get(key)
            if found and found.joined_at == former.joined_at:
                del self._formers[key]

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """See ``Erasures``."""
        with self._lock:
            log = self._entries.get(channel_id, {})
            if seq in log and log[seq].body is not None:
                log[seq] = replace(log[seq], body=body)

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """See ``Erasures``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None:
                return None
            creator = ERASED if head.creator == user_id else head.creator
            self._heads[channel_id] = replace(head, erasures=head.erasures + 1, creator=creator)
            return self._heads[channel_id]
