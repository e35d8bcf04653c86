"""Planted bugs in what is counted and shown of posts that did not come to stand; see ``bench.sim.planted``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from bench.sim.pages import plain
from bench.sim.planted import _Behind
from bench.sim.store import SimStore
from shared import access
from shared.cache.encoded import page_json
from shared.codings import PLAIN, Accepted
from shared.model import Entry
from shared.services import Services
from shared.use_cases.fetch_messages import Page, Window, etag_of, fetch_messages, positions
from shared.use_cases.list_channels import Listed, Listing, list_channels

if TYPE_CHECKING:
    from shared.store.interface import Store


class CountsNoVoids(SimStore):
    """Writes voids and counts none."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        before = self._truth.head(channel_id)
        standing = super()._void(channel_id, voids)
        head = self._truth.head(channel_id)
        if head and before:
            self._truth._heads[channel_id] = replace(head, voids=before.voids, gaps=before.gaps)  # noqa: SLF001 - the bug
        return standing


class CountsFoundVoids(SimStore):
    """Counts a void also where somebody else's stands."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        standing = super()._void(channel_id, voids)
        found = sum(each.body is None and each not in voids for each in standing)
        head = self._truth.head(channel_id)
        if head:
            self._truth._heads[channel_id] = replace(head, voids=head.voids + found)  # noqa: SLF001 - the bug
        return standing


class CountsApart(SimStore):
    """Counts voids in a step of its own, before which the container may die."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        before = self._truth.head(channel_id)
        standing = super()._void(channel_id, voids)
        after = self._truth.head(channel_id)
        if before and after and after.voids > before.voids:
            self._truth._heads[channel_id] = replace(after, voids=before.voids, gaps=before.gaps)  # noqa: SLF001 - the bug
            self._container.step("counting the voids")
            head = self._truth.head(channel_id) or after
            counted, gaps = head.voids + after.voids - before.voids, head.gaps | after.gaps
            self._truth._heads[channel_id] = replace(head, voids=counted, gaps=gaps)  # noqa: SLF001 - the bug
        return standing


class _Believing(_Behind):
    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        return dict.fromkeys(positions, True)


def list_unasked(services: Services, user_id: str, listing: Listing) -> Listed:
    """Shows what the heads show, whether it stands or not."""
    believing = cast("Store", _Believing(services.store))
    return list_channels(replace(services, store=believing), user_id, listing)


def as_wide_as_asked(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Shows the positions that were asked for, and no others, also where they hold no message."""
    page = plain(fetch_messages(services, user_id, channel_id, window, etags, accepted))
    if page.body is None or page.stale:
        return page
    head, membership = access.member(services.store.look(channel_id, user_id))
    first, last = positions(window, head, membership)
    span = services.reader.read(head, first, last)
    body = page_json(head, span, has_more_after=span.last == last < head.seq)
    return Page(etag_of(head, head.seq if span.last == last else span.last, window, membership), body)
