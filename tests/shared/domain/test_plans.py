"""Upstash's plans and when to leave one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.plans import DAYS, GB, MIB, PLANS, Usage, advise, stored_bytes
from tests.cases import case

QUIET = Usage(commands_today=131, commands_month=3_930, stored_bytes=238_108, hit_rate=0.96)
LONG_AGO = replace(QUIET, day_of_month=DAYS)


def urgent(plan: str, use: Usage) -> set[str]:
    """What it is time to act on."""
    return {each.about for each in advise(PLANS[plan], use) if each.urgent}


def test_a_quiet_chat_may_stay_on_any_plan() -> None:
    """A hundred users' day breaks no limit and calls for nothing."""
    for plan in PLANS:
        with case(plan):
            assert not urgent(plan, QUIET)
            assert not list(PLANS[plan].exceeded(QUIET))


def test_eight_thousand_commands_a_day_are_time_to_upgrade() -> None:
    """The guide's figure, of the plan with 10,000 a day."""
    for commands, expected in [(7_999, set()), (8_000, {"commands"})]:
        with case(commands, expected):
            assert urgent("free-daily", replace(QUIET, commands_today=commands)) == expected


def test_two_hundred_megabytes_are_time_to_upgrade() -> None:
    """The guide's figure, of plans with 256 MB."""
    for plan in ["free", "free-daily"]:
        for megabytes, expected in [(199, set()), (200, {"memory"})]:
            with case(plan, megabytes, expected):
                assert urgent(plan, replace(QUIET, stored_bytes=megabytes * MIB)) == expected


def test_more_than_thirty_connections_are_time_to_upgrade() -> None:
    """The guide's figure."""
    for connections, expected in [(30, set()), (31, {"connections"})]:
        with case(connections, expected):
            assert urgent("free-daily", replace(QUIET, connections=connections)) == expected


def test_the_daily_plan_says_that_it_forgets() -> None:
    """Persistence is a reason to upgrade, but no urgent one: the cache is read again from DynamoDB."""
    (said,) = advise(PLANS["free-daily"], QUIET)
    assert (said.about, said.urgent) == ("persistence", False)
    assert advise(PLANS["free"], QUIET) == []


def test_eighty_percent_of_the_month_are_time_to_upgrade() -> None:
    """Of 500,000, on the month's last day."""
    for commands, expected in [(399_999, set()), (400_000, {"commands"})]:
        with case(commands, expected):
            assert urgent("free", replace(LONG_AGO, commands_month=commands)) == expected


def test_a_month_is_judged_by_its_pace() -> None:
    """What is little so far may be too much by the end."""
    assert urgent("free", replace(QUIET, commands_month=150_000, day_of_month=10.0)) == {"commands"}
    assert urgent("free", replace(QUIET, commands_month=130_000, day_of_month=10.0)) == set()


def test_the_first_hours_are_no_pace() -> None:
    """A busy hour after midnight of the first does not foretell the month."""
    assert replace(QUIET, commands_month=1_000, day_of_month=0.05).month_at_this_pace == 1_000 * DAYS


def test_pay_as_you_go_costs_by_the_command() -> None:
    """$0.20 for 100,000, nothing for a database of less than a GB and 200 GB moved."""
    use = replace(QUIET, commands_month=1_000_000)
    assert PLANS["payg"].price(use) == pytest.approx(2.0)
    assert PLANS["pro"].price(use) == pytest.approx(1.0)
    more = replace(use, stored_bytes=3 * GB, moved_bytes=300 * GB)
    assert PLANS["payg"].price(more) == pytest.approx(2.0 + 2 * 0.25 + 100 * 0.03)


def test_a_fixed_plan_costs_the_same_whatever_runs() -> None:
    """Commands are not counted there."""
    assert PLANS["fixed-250mb"].price(replace(QUIET, commands_month=90_000_000)) == 10.0


def test_a_plan_that_is_exceeded_has_no_price() -> None:
    """A plan whose limits the work exceeds has no price, as it would refuse the work."""
    for plan, use, about in [
        ("free", replace(QUIET, commands_month=500_001), "commands"),
        ("free-daily", replace(QUIET, commands_today=10_001), "commands"),
        ("free", replace(QUIET, moved_bytes=10 * GB + 1), "bandwidth"),
        ("fixed-250mb", replace(QUIET, stored_bytes=251 * MIB), "memory"),
    ]:
        with case(plan, use, about):
            assert list(PLANS[plan].exceeded(use)) == [about]
            assert PLANS[plan].price(use) is None


def test_enterprise_has_no_public_price() -> None:
    """And no limit that we know of."""
    assert PLANS["enterprise"].price(QUIET) is None
    assert not list(PLANS["enterprise"].exceeded(replace(QUIET, commands_month=10**12)))


def test_info_is_read_defensively() -> None:
    """Servers name it differently, and may not say it."""
    for info, expected in [
        ("# Memory\r\nused_memory:900\r\nused_memory_dataset:300\r\n", 300),
        ("used_memory:900", 900),
        ("total_data_size:7\r\nused_memory:900", 7),
        ("used_memory:much", None),
        ("PONG", None),
    ]:
        with case(info, expected):
            assert stored_bytes(info) == expected
