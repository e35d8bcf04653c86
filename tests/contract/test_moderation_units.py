"""What blocks, bans and reports cost, by ministack's figures for writes, and that posts and joins cost no more."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from local.dynamodb.engine import MINISTACK
from shared.domain import keys
from shared.domain.model import Head, Kind, Membership, Role
from shared.domain.moderation import Ban, Block, Report
from shared.observability.meter import start_meter
from tests.contract.samples import NOW, membership_of, open_channel, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines import Engines


def units(call: Callable[[], Any]) -> float:
    """The write units of a call."""
    meter = start_meter()
    call()
    return meter.write_units


@pytest.mark.stack
def test_blocks_cost_what_was_computed(engines: Engines) -> None:
    """8 write units, 4 to lift one where there is no direct channel; a direct channel costs 12 with its index."""
    store = engines.store(MINISTACK)
    ada, eve = user(), user()
    block = partial(store.block, Block(ada, eve, NOW))
    assert [units(block), units(block), units(partial(store.unblock, ada, eve))] == [8, 0, 4]
    head = Head(keys.direct_channel_id(ada, eve), Kind.DIRECT, "", "", ada, NOW, members=2)
    memberships = [Membership(each, head.channel_id, Role.MEMBER, NOW) for each in (ada, eve)]
    assert units(partial(store.create_channel, head, memberships)) == 2 + 2 * 2 + 2 + 4
    assert [units(block), units(partial(store.unblock, ada, eve))] == [8, 8]


@pytest.mark.stack
def test_bans_cost_what_was_computed(engines: Engines) -> None:
    """10 write units and the index's for a member, 8 for another user, 6 to lift one."""
    store = engines.store(MINISTACK)
    ada, eve, bob = user(), user(), user()
    channel = open_channel(store, ada, eve)
    by, target = membership_of(store, channel, ada), membership_of(store, channel, eve)
    assert units(partial(store.ban, Ban(channel, eve, ada, NOW), target, by)) == 10 + 1
    assert units(partial(store.ban, Ban(channel, bob, ada, NOW), None, by)) == 8
    assert [units(partial(store.unban, channel, each, by)) for each in (eve, bob)] == [6, 6]


@pytest.mark.stack
def test_reports_cost_what_was_computed(engines: Engines) -> None:
    """6 write units, and 8 to close one."""
    store = engines.store(MINISTACK)
    ada = user()
    channel = open_channel(store, ada)
    report = Report(
        channel, keys.new_report_id(NOW), keys.message_id(channel, 1), ada, "spam", "x" * 500, NOW
    )
    assert units(partial(store.add_report, report, 9)) == 6
    closed = replace(report, closed_at=NOW, closed_by=ada, resolution="done")
    assert units(partial(store.close_report, closed, membership_of(store, channel, ada))) == 8
