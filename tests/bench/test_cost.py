"""What operations cost: the arithmetic, and a tiny measurement."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cost import GOALS, targets
from bench.lib.operations import MISSED, PAGE_CHANGED, PAGE_IN_MEMORY, PAGE_THREADS
from operators import prices
from operators.capacity_plan import measured, of_trace, plan
from operators.costs import SHARE_OF_PROCESSOR, Figures, by_plan, days, priced, priced_realtime, user_month
from operators.prices import PUBLISHED
from operators.realtime_plan import MEMORY_GB
from shared.domain.plans import DAYS, PLANS
from tests.running import tiny

POST = Figures(calls_ms=12.0, own_ms=1.0, read_units=2, write_units=5, out_bytes=1_000, log_bytes=600)


def test_dollars_of_a_post() -> None:
    """$1.20 for the request, 13 ms at 512 MB, 2 read and 5 write units; egress, logs and traces apart."""
    found = priced(POST)
    assert found["dollars"] == {
        "api_gateway": 1.0,
        "lambda_requests": 0.2,
        "lambda_seconds": pytest.approx(13 * MEMORY_GB * prices.LAMBDA_GB_SECOND * 1_000, abs=1e-4),
        "dynamodb": 2 * 0.125 + 5 * 0.625,
    }
    assert found["sum"] == pytest.approx(sum(found["dollars"].values()), abs=1e-3)
    assert found["apart"]["egress"] == pytest.approx(0.09)
    logged = 600 + prices.LOG_EVENT + prices.PLATFORM_LOG + prices.ACCESS_LOG
    assert found["apart"]["logs"] == pytest.approx(logged / 1_000 * 0.5, abs=1e-4)
    assert found["all"] == pytest.approx(found["sum"] + sum(found["apart"].values()), abs=1e-3)


def test_the_cautious_sum_slows_own_work_down() -> None:
    """To the 0.29 of a CPU that 512 MB have; the calls' milliseconds stay the same."""
    found = priced(POST)
    slower = (SHARE_OF_PROCESSOR - 1) * MEMORY_GB * prices.LAMBDA_GB_SECOND * 1_000
    assert found["cautious"] - found["sum"] == pytest.approx(slower, abs=2e-4)
    assert pytest.approx(3.455, abs=1e-3) == SHARE_OF_PROCESSOR


def test_a_cold_start_is_billed() -> None:
    """Its milliseconds are billed like any others."""
    started = Figures(4, 1, 2, 0, 0, 0, start_ms=1_000)
    more = priced(started)["sum"] - priced(Figures(4, 1, 2, 0, 0, 0))["sum"]
    assert more == pytest.approx(1_000 * MEMORY_GB * prices.LAMBDA_GB_SECOND * 1_000, abs=1e-3)


def test_redis_is_priced_at_every_plan() -> None:
    """A million commands a month: $2.00 by the command, $10 at the fixed price, more than the free plan allows."""
    found = by_plan(1.0)
    assert set(found) == set(PLANS)
    assert (found["payg"], found["fixed-250mb"], found["free"], found["free-daily"]) == (
        2.0,
        10.0,
        None,
        None,
    )
    assert by_plan(0.1)["free"] == 0.0


def test_days_cost_what_the_planner_says() -> None:
    """A month of the trace by these prices is the planner's units on demand and its seconds of Lambda."""
    known = measured()
    report, day = plan(of_trace(known), known), days(known)[0]
    requests = known.scales[0]["kinds"]
    counts: dict[str, int] = {kind: requests[kind]["requests"] * DAYS for kind in ("list", "page", "post")}

    def month(service: str) -> float:
        dollars = {kind: float(day["kinds"][kind]["dollars"][service]) for kind in counts}
        return sum(count * dollars[kind] for kind, count in counts.items()) / 1_000_000

    assert month("dynamodb") == pytest.approx(report.on_demand, rel=1e-3)
    starts = day["starts"] * sum(counts.values()) / 1_000_000
    gb_seconds = report.amounts["gb_seconds"] * prices.LAMBDA_GB_SECOND
    assert month("lambda_seconds") + starts == pytest.approx(gb_seconds, rel=1e-3)


def test_a_read_on_average_lies_between_page_and_list() -> None:
    """It includes what cold starts add."""
    for day in days(measured()):
        page, listed = day["kinds"]["page"]["sum"], day["kinds"]["list"]["sum"]
        assert page < day["read"] - day["starts"] < listed


def test_a_users_month() -> None:
    """Sessions of 30 days, all counted: less than a cent, more than DynamoDB's part of it alone."""
    found = user_month(measured())
    assert found["requests"]["list"] == pytest.approx(2 * 3 * 30)
    assert 0.001 < found["dollars"] < 0.01


def test_published_prices_say_where_they_were_read() -> None:
    """Each has its page and a date, and a note if it has no price."""
    assert all(each.source.startswith("https://") and "2026" in each.read for each in PUBLISHED)
    assert all(each.note for each in PUBLISHED if each.dollars is None)


def test_deliveries_cost_little_more_than_their_frames() -> None:
    """A post to 20 watchers is 20 messages of the WebSocket API, for each of which all else adds at most a third."""
    found = priced_realtime(measured().found["realtime"])
    post, frames = found["operations"]["post"], measured().found["realtime"]["post"]["frames"]
    assert post["dollars"]["api_gateway"] == frames == 20
    assert 1.0 < found["a million deliveries"]["to 20"] < 1.34
    assert found["a million deliveries"]["to 1"] > found["a million deliveries"]["to 20"]


def row(goal: str, dollars: float, *, agrees: bool = True, units: float = 2) -> dict[str, Any]:
    """The part of an operation's result that targets use."""
    engines = {"engine": {"agrees": agrees}}
    return {"goal": goal, "sum": dollars, "figures": {"read_units": units}, "engines": engines}


def missed(operations: dict[str, Any], reply: float = 9.0) -> list[str]:
    """The targets that are missed by these operations, and others that meet theirs."""
    pages = {
        name + where: row("", 1.0)
        for name in (PAGE_IN_MEMORY, PAGE_CHANGED, PAGE_THREADS)
        for where in ("", MISSED)
    }
    results = {"operations": pages | operations, "replies": {"write units": reply}, "days": []}
    return [name for name, held in targets(results).items() if not held]


@pytest.mark.parametrize("goal", GOALS)
def test_a_goal_is_missed_by_a_cent(goal: str) -> None:
    """It is met at its dollars, and missed above."""
    assert missed({"it": row(goal, GOALS[goal])}) == []
    assert missed({"it": row(goal, GOALS[goal] + 0.01)}) == [f"it: at most ${GOALS[goal]:.2f}"]


def test_an_engine_that_disagrees_misses_a_target() -> None:
    """The engines must confirm the units."""
    wrong = {"it": row("", 1.0, agrees=False)}
    assert missed(wrong) == ["the engines count the units that AWS's rules give"]


def test_threads_must_not_make_pages_or_replies_dear() -> None:
    """A read unit more than a page without threads, or a little more than 9 write units a reply, miss a target."""
    for where in ("", MISSED):
        assert len(missed({PAGE_THREADS + where: row("", 1.0, units=3)})) == 1
    assert missed({}, reply=9.01) == ["a reply: at most 9 write units on average"]


@pytest.mark.stack
def test_every_operation_is_priced() -> None:
    """Ministack counts the same write units; each operation has the units and times of its known calls."""
    found = tiny("bench.cost")
    operations = found["operations"]
    assert found["targets"]["the engines count the units that AWS's rules give"]
    units = {
        name: (each["figures"]["read_units"], each["figures"]["write_units"])
        for name, each in operations.items()
    }
    assert units["page, memory"] == units["poll, 304"] == (2, 0)
    assert (units["post"], units["post with key"]) == ((2, 5), (3, 7))
    assert (units["first reply"], units["reply"], units["reply with key"]) == ((7, 15), (5, 6), (6, 8))
    assert (units["page of replies, memory"], units[PAGE_THREADS]) == ((5, 0), (2, 0))
    assert (units["follow"], units["unfollow"]) == ((5, 1), (5, 1))
    assert found["replies"]["of 1 replies"] == 15
    assert found["replies"]["write units"] <= 9
    assert units["edit"] == units["delete"] == units["react"] == units["unpin"] == (3, 8)
    assert units["edit with key"] == (4, 10)
    assert units["take a reaction back"] == (3, 8)
    assert units["page, 20 of 50 changed"] == (4, 0)
    assert units["batch of 25 posts"] == (2, 1 + 2 * 26)
    assert units["list of 8 channels, memory"] == (9, 0)
    assert units["create channel"] == (1, 2 * 2 + 1)
    # The channel state, the last entry (the newcomer's read position), and the count of their channels.
    assert units["join"] == (2 + 1 + 1, 3 * 2 + 1)
    assert operations["list of 8 channels, memory"]["figures"]["calls_ms"] == 4
    # The memberships, the heads, and a check of the previewed messages, which a warm container has done.
    assert operations["list of 8 channels, after a miss"]["figures"]["calls_ms"] == 12
    assert found["hosted"]
    pushed = {
        name: (each["figures"]["read_units"], each["figures"]["write_units"], each["frames"])
        for name, each in found["push"]["operations"].items()
    }
    assert (pushed["ticket"], pushed["connect"]) == ((0, 1, 0), (1, 3, 0))
    # The connection, and the channel state of each of 8 channels; 8 watches, 8 conditions and the connection.
    assert pushed["watch"] == (1 + 8 * 2, 2 * (8 + 8 + 1), 0)
    assert (pushed["ping"], pushed["disconnect"]) == ((1 + 8, 0, 0), (2, 2 * 8 + 2, 0))
    assert (pushed["post"], pushed["post to one"], pushed["nothing"]) == ((2, 0, 20), (2, 0, 1), (0, 0, 0))
    assert pushed["presence"][2] == 21
