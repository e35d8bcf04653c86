"""Messages by their places, in channels and threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.bootstrap import Services
from shared.domain.model import Head
from shared.runtime.parallel import map_concurrently
from shared.use_cases.expiry import with_boundary
from shared.use_cases.find_thread import head_of_log

Place = tuple[str, int]
"""A log id and a position."""


def messages_at(
    services: Services, heads: Mapping[str, Head], places: Iterable[Place]
) -> dict[Place, bytes | None]:
    """The messages at these places that have not expired, voids as None; those of logs without a head are left out.

    ``heads`` has the logs' heads and their channels'. Costs a read unit for each message; logs are read concurrently.
    """
    by_log: dict[str, list[int]] = {}
    for log_id, seq in places:
        by_log.setdefault(log_id, []).append(seq)

    def read(log_id: str) -> dict[Place, bytes | None]:
        head = head_of_log(heads, log_id)
        if head is None:
            return {}
        expired = with_boundary(services, head).boundary.seq
        kept = [seq for seq in by_log[log_id] if seq > expired]
        found = services.store.entries_at(log_id, kept) if kept else []
        return {(log_id, entry.seq): entry.body for entry in found}

    parts = map_concurrently(read, list(by_log), services.background)
    return {place: body for part in parts for place, body in part.items()}
