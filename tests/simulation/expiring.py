"""The end of a world: its messages expire, containers still have them cached, and DynamoDB deletes some of them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import MessageNotFoundError
from shared.domain.retention import DAY_MS, DELETED_MS, HOUR_MS, LATEST_MS
from shared.use_cases.fetch_messages import Page, Window, fetch_message
from shared.use_cases.list_channels import Listed, Listing
from tests.simulation.fault_rates import next_phase
from tests.simulation.ledger import Asked
from tests.simulation.pages import WrongError, plain
from tests.simulation.requests import Request

if TYPE_CHECKING:
    from tests.simulation.world import World

READS: Final = 30
"""Requests of each kind, under faults."""
SPREAD_MS: Final = 3_000


class Expiring:
    """Messages that expire, and others that do not.

    Args:
        world: in which they do.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._kept: dict[str, set[int]] = {}
        """The positions in each channel of messages that do not expire."""

    def run(self) -> None:
        """A day and a few hours: the old messages have expired at their end, the ones from the last hours have not."""
        world, truth = self._world, self._world.truth
        old = {each: set(truth.log(each)) for each in world.channels}
        voids = self._voids()
        self._quietly(world.clients.read_everything)
        for channel_id in world.channels:
            head = truth.head(channel_id)
            if head is not None:
                truth._heads[channel_id] = replace(head, retention_days=1)
        world.loop.now += 20 * HOUR_MS
        for _ in range(3):
            self._quietly(partial(world.clients.last_words, world.users[0]))
        for channel_id in world.channels:
            log = truth.log(channel_id)
            self._kept[channel_id] = {
                seq for seq in log.keys() - old[channel_id] if log[seq].body is not None
            }
        world.loop.now += DAY_MS + DELETED_MS - 20 * HOUR_MS + HOUR_MS
        world.phase = next_phase(self._rng)
        for _ in range(READS):
            for request in (self._page, self._one, self._list, self._delete):
                channel_id = self._rng.choice(world.channels)
                user_id = world.clients.somebody(channel_id)
                world.loop.spawn(partial(request, user_id, channel_id), self._rng.uniform(0, SPREAD_MS))
        world.loop.spawn(partial(world.clients.last_words, world.users[0]), SPREAD_MS / 2)
        world.loop.run()
        if self._voids() - voids & {(each, seq) for each in old for seq in old[each]}:
            raise WrongError("a position that expired was settled")

    def _quietly(self, step: Any) -> None:
        self._world.loop.spawn(step)
        self._world.loop.run()

    def _voids(self) -> set[tuple[str, int]]:
        truth = self._world.truth
        return {
            (channel_id, seq)
            for channel_id in self._world.channels
            for seq, entry in truth.log(channel_id).items()
            if entry.body is None
        }

    # --- requests ---

    def _page(self, user_id: str, channel_id: str) -> None:
        end = max(self._world.truth.log(channel_id), default=1)
        window = self._rng.choice(
            (
                Window(100),
                Window(100, after=0),
                Window(50, anchor="oldest"),
                Window(50, anchor="first_unread"),
                Window(20, before=self._rng.randint(1, end)),
                Window(20, around=self._rng.randint(1, end)),
            )
        )

        def check(_: Asked, page: Page) -> str:
            shown = json.loads(plain(page).body or b"{}")
            self._judge(channel_id, shown["messages"])
            due = [seq for seq in self._kept[channel_id] if shown["first_seq"] <= seq <= shown["last_seq"]]
            if window in {Window(100, after=0), Window(50, anchor="oldest")}:
                due = sorted(self._kept[channel_id])[: window.limit]
            lacking = set(due) - {message["seq"] for message in shown["messages"]}
            if lacking:
                raise WrongError(f"lacks {sorted(lacking)}, which have not expired")
            return "stale" if page.stale else "page"

        def call(services: Services) -> object:
            return self._world.code.fetch(services, user_id, channel_id, window, frozenset())

        self._send("late page", user_id, channel_id, call, check)

    def _one(self, user_id: str, channel_id: str) -> None:
        seq = self._rng.randint(1, max(self._world.truth.log(channel_id), default=1))

        def check(_: Asked, body: bytes | None) -> str:
            if body is not None:
                self._judge(channel_id, [json.loads(body)])
            elif seq in self._kept[channel_id]:
                raise WrongError(f"lacks {seq}, which has not expired")
            return "found" if body else "not found"

        def call(services: Services) -> bytes | None:
            try:
                return fetch_message(services, user_id, channel_id, keys.message_id(channel_id, seq))
            except MessageNotFoundError:
                return None

        self._send("late one", user_id, channel_id, call, check)

    def _list(self, user_id: str, channel_id: str) -> None:
        def check(_: Asked, listed: Listed) -> str:
            for channel in listed.body["channels"]:
                last = channel["last_message"]
                self._judge(channel["id"], [last] if last else [])
                most = channel["last_seq"] - channel["last_read_seq"]
                if not 0 <= channel["unread_count"] <= most:
                    raise WrongError(f"{channel['unread_count']} unread, of {most} positions")
            return "stale" if listed.stale else "list"

        def call(services: Services) -> object:
            return self._world.code.listing(services, user_id, Listing(100))

        self._send("late list", user_id, channel_id, call, check)

    def _delete(self, _: str, channel_id: str) -> None:
        """As DynamoDB's TTL: some of what has expired, in any order."""
        log = self._world.truth.log(channel_id)
        expired = [seq for seq in log if self._is_over(log[seq].at, DELETED_MS)]
        for seq in self._rng.sample(expired, len(expired) // 3):
            del log[seq]

    def _send(self, kind: str, user_id: str, channel_id: str, call: Any, check: Any) -> None:
        self._world.clients.send(Request(kind, user_id, channel_id, call, check))

    def _is_over(self, at: float, more: int = LATEST_MS) -> bool:
        return at + DAY_MS + more < self._world.loop.now

    def _judge(self, channel_id: str, messages: list[dict[str, Any]]) -> None:
        """None of these has expired."""
        for message in messages:
            seq = message["seq"]
            if seq in self._kept[channel_id]:
                continue
            given = self._world.ledger.logs[channel_id].given_at.get(seq)
            if given is not None and self._is_over(given):
                raise WrongError(f"shows message {seq} of {channel_id} after its retention")
