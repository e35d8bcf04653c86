"""The capacity planner: the guide's arithmetic, ours from measurements, and its table, JSON and chart."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from local.template.intrinsics import parse
from operators import prices
from operators.capacity import free_tier, main
from operators.capacity_plan import (
    BILLINGS,
    MEASURED,
    MOST_STORED,
    Measured,
    Workload,
    guide,
    measured,
    plan,
)
from shared.domain.plans import DAYS, PLANS

HUNDRED = Workload(users=100)
ROOT = Path(__file__).resolve().parents[2]


def scale(users: int, commands: int, page_units: float) -> dict[str, Any]:
    """A plausible measurement of this many users, in round numbers."""
    kinds = {
        kind: {
            "requests": users * each,
            "read_units": units,
            "write_units": 5.0 if kind == "post" else 0.0,
            "ms": 10.0,
            "bytes_out": 1_000.0,
            "log_bytes": 500.0,
        }
        for kind, each, units in (
            ("list", 4, 8.5),
            ("page", 8, page_units),
            ("post", 10, 2.0),
            ("poll", 0, 2.0),
        )
    }
    return {
        "users": users,
        "cold_starts": 50,
        "redis_commands": commands,
        "hit_rate": {"all": 0.9},
        "stored_bytes": 200_000,
        "redis_bytes_moved": commands * 100_000,
        "busiest_300_s": {"read": users, "write": users},
        "kinds": kinds,
        "message_bytes": 250.0,
    }


KNOWN = Measured(
    {
        "scales": [scale(100, 100, 3.0), scale(10_000, 400, 4.0)],
        "uncached": scale(100, 0, 6.0),
        "cold_start_ms": 1_000.0,
    }
)


def test_the_guides_own_arithmetic() -> None:
    """100 users: 70 active times 5 requests are 350 a day, and 70 KB each are 7 MB."""
    assert guide(100) == {"redis_commands_a_day": 350, "stored_bytes": 7_000_000}


def test_ours_needs_less_redis_than_the_guide_says() -> None:
    """The day has six times the guide's requests, yet fewer Redis commands and bytes."""
    report, theirs = plan(HUNDRED), guide(100)
    assert sum(report.requests.values()) / DAYS > 6 * theirs["redis_commands_a_day"]
    assert report.redis.commands_today < theirs["redis_commands_a_day"]
    assert (report.redis.stored_bytes or 0) < theirs["stored_bytes"]


def test_a_hundred_users_are_free_but_for_the_api() -> None:
    """30 days of the measured trace: Redis and DynamoDB $0.00, API Gateway by the request."""
    said, shown = free_tier(measured())
    assert all(shown.values())
    requests = sum(measured().scales[0]["kinds"][kind]["requests"] for kind in ("list", "page", "post"))
    assert f"{requests * DAYS * prices.API_REQUEST:.2f}" in said


def test_the_committed_figures_are_those_that_the_script_writes() -> None:
    """Several numbers of users, ascending, the smallest 100, with all kinds of requests."""
    found = json.loads(MEASURED.read_text())
    users = [each["users"] for each in found["scales"]]
    assert users[0] == 100
    assert users == sorted(set(users))
    assert len(users) > 1
    for each in found["scales"]:
        assert set(each["kinds"]) == {"list", "page", "post", "poll"}


def test_what_was_measured_is_given_back() -> None:
    """At a measured number of users nothing is interpolated."""
    assert plan(HUNDRED, KNOWN).redis.commands_today == 100
    assert plan(Workload(users=10_000), KNOWN).redis.commands_today == 400


def test_between_two_measurements_it_lies_between() -> None:
    """Between two measured numbers of users, figures are interpolated by the logarithm of the users."""
    assert plan(Workload(users=1_000), KNOWN).redis.commands_today == pytest.approx(200, abs=1)
    per_page = KNOWN.averages(1_000, lambda each: float(each["kinds"]["page"]["read_units"]))
    assert per_page == pytest.approx(3.5)


def test_beyond_what_was_measured_pages_are_priced_as_uncached() -> None:
    """It is an upper bound, and the report says that it was not measured."""
    report = plan(Workload(users=1_000_000), KNOWN)
    assert not report.is_measured
    assert report.redis.hit_rate is None
    pages, lists, posts = (report.requests[kind] for kind in ("page", "list", "post"))
    assert report.amounts["read_units"] == pytest.approx(6.0 * pages + 8.5 * lists + 2.0 * posts)


def test_commands_go_on_growing_as_they_did() -> None:
    """Four times as many for a hundred times the users, up to the next hundred times."""
    assert plan(Workload(users=1_000_000), KNOWN).redis.commands_today == pytest.approx(1_600, abs=1)


def test_redis_holds_two_bundles_however_many_users_there_are() -> None:
    """What Redis stores is limited by the cache's bound, however many users there are."""
    assert (plan(Workload(users=1_000_000), KNOWN).redis.stored_bytes or 0) <= MOST_STORED + 1


def test_half_the_sessions_are_half_the_requests() -> None:
    """All amounts follow from sessions."""
    whole, half = plan(HUNDRED, KNOWN), plan(replace(HUNDRED, active=0.35), KNOWN)
    for name in ("requests", "write_units", "egress_gb"):
        assert half.amounts[name] == pytest.approx(whole.amounts[name] / 2)


def test_a_session_that_polls_costs_its_polls() -> None:
    """10 minutes of polls every 5 s are 120 requests of 2 units."""
    quiet, polling = plan(HUNDRED, KNOWN), plan(replace(HUNDRED, poll_seconds=5), KNOWN)
    polls = 100 * 0.7 * 3 * 120 * DAYS
    assert polling.requests["poll"] == pytest.approx(polls)
    assert polling.amounts["read_units"] - quiet.amounts["read_units"] == pytest.approx(2 * polls)
    assert polling.dollars["API Gateway"] > quiet.dollars["API Gateway"]


def test_push_costs_its_frames_and_minutes() -> None:
    """Each post is a frame to each watcher; none of it, and no dollar, where nothing is pushed."""
    quiet, pushed = plan(HUNDRED), plan(replace(HUNDRED, pushes=True, watchers=20))
    more = plan(replace(HUNDRED, pushes=True, watchers=30))
    assert quiet.push.messages == quiet.dollars["API Gateway, WebSockets"] == 0
    posts = quiet.requests["post"]
    frames = pushed.push.messages - pushed.push.live_messages
    assert more.push.messages - more.push.live_messages == pytest.approx(frames + 10 * posts)
    assert pushed.push.minutes == pytest.approx(100 * 0.7 * 3 * 10 * DAYS)
    assert 0 < pushed.push.live_messages < pushed.push.messages
    dollars = pushed.push.messages * prices.WEBSOCKET_MESSAGE + pushed.push.minutes * prices.CONNECTION_MINUTE
    assert pushed.dollars["API Gateway, WebSockets"] == pytest.approx(dollars)
    assert pushed.amounts["write_units"] > quiet.amounts["write_units"]


def test_push_and_polling_stand_beside_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    """Push costs less than a poll every 10 seconds, and is told of at once."""
    pushed, polling = plan(replace(HUNDRED, pushes=True)), plan(replace(HUNDRED, poll_seconds=10.0))
    assert plan(HUNDRED).least < pushed.least < polling.least
    for arguments in ([], ["--push"]):
        assert main(["--users", "100", *arguments]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        shown = {" ".join(row[:-3]): row[-1] for row in rows if len(row) > 3}
        assert shown["push: Realtime=on"] == f"{pushed.least:.2f}"
        assert shown["they poll every 10 s"] == f"{polling.least:.2f}"


def test_long_messages_cost_more_units() -> None:
    """An entry of 3 KB takes two more units, each counted twice in a transaction."""
    short, long = plan(HUNDRED, KNOWN), plan(replace(HUNDRED, message_bytes=2_500), KNOWN)
    more = (long.amounts["write_units"] - short.amounts["write_units"]) / long.requests["post"]
    assert more == pytest.approx(4)
    assert long.amounts["egress_gb"] > short.amounts["egress_gb"]
    assert long.amounts["stored_gb"] > short.amounts["stored_gb"]


def test_more_channels_make_lists_dearer() -> None:
    """A list costs one more read unit for each further channel."""
    few, many = plan(HUNDRED, KNOWN), plan(replace(HUNDRED, memberships=15), KNOWN)
    assert many.amounts["read_units"] - few.amounts["read_units"] == pytest.approx(7.5 * few.requests["list"])


def test_the_table_is_free_until_its_busiest_minutes_are_too_busy() -> None:
    """Up to 15 units a second over 300 s the always-free table is enough; above, it is priced on demand."""
    free, paid = (plan(Workload(users=users, table_billing="always-free"), KNOWN) for users in (100, 10_000))
    assert free.quotas["DynamoDB 25/25"] <= 1
    assert free.dollars["DynamoDB"] == 0
    assert paid.quotas["DynamoDB 25/25"] > 1
    assert paid.dollars["DynamoDB"] >= paid.on_demand > 0


def test_the_table_is_priced_as_the_template_deploys_it() -> None:
    """On demand by default, or with the always-free units."""
    parameter = parse((ROOT / "template.yaml").read_text())["Parameters"]["TableBilling"]
    assert Workload().table_billing == parameter["Default"]
    assert list(BILLINGS) == parameter["AllowedValues"]
    report = plan(HUNDRED, KNOWN)
    assert report.dollars["DynamoDB"] == pytest.approx(report.on_demand)
    assert report.on_demand > 0


def test_within_what_was_measured_there_is_one_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """To the cent, with the way clients read, on which it depends."""
    assert plan(HUNDRED).bounds is None
    assert main(["--users", "100"]) == 0
    said = capsys.readouterr().out
    assert "All of it, with the cheapest plan of today: $0.22 a month" in said
    assert "does not poll" in said
    assert main(["--users", "100", "--poll-seconds", "3"]) == 0
    assert "Each session polls every 3 s for 10 minutes" in capsys.readouterr().out


def test_beyond_what_was_measured_there_is_a_range(capsys: pytest.CaptureFixture[str]) -> None:
    """From the best case (cached as with the most users measured) to the worst (nothing cached), in two digits."""
    report = plan(Workload(users=1_000_000))
    assert report.bounds is not None
    best, worst = report.bounds
    for name, cost in report.dollars.items():
        assert best.dollars[name] <= cost * 1.000001
        assert cost <= worst.dollars[name] * 1.000001
    assert best.least < worst.least
    assert best.redis.commands_today < worst.redis.commands_today
    assert main(["--users", "1000000"]) == 0
    said = capsys.readouterr().out
    total = re.search(r"cheapest plan of today: \$([\d,]+) to \$([\d,]+) a month", said)
    assert total
    for figure in total.groups():
        assert re.fullmatch(r"[1-9]\d0*", figure.replace(",", ""))
    bill = said.partition("$ a month, AWS")[2].partition("$ a month, Redis")[0]
    assert not re.search(r"\d\.\d\d\b", bill), "no cents"


@pytest.mark.parametrize("page", ["README.md", "docs/deploying.md", "docs/operations.md"])
def test_what_a_hundred_users_cost_is_said_as_the_planner_says_it(page: str) -> None:
    """It states how clients read, and how the table is billed."""
    text = " ".join((ROOT / page).read_text().split())
    for polls, words in ((None, "when something is opened"), (3.0, "poll every 3 s")):
        for billing in BILLINGS:
            report = plan(Workload(users=100, poll_seconds=polls, table_billing=billing))
            assert f"${report.least:.2f}" in text, (polls, billing)
        assert words in text
    assert "cost it nothing" not in text


def test_what_push_costs_is_said_as_the_planner_says_it() -> None:
    """For a hundred users, with either table, and with longer sessions."""
    for page in ("docs/deploying.md", "docs/operations.md"):
        for billing in BILLINGS:
            report = plan(Workload(users=100, pushes=True, table_billing=billing))
            assert f"${report.least:.2f}" in (ROOT / page).read_text(), page
    text = (ROOT / "docs/deploying.md").read_text()
    for given in (Workload(pushes=True), Workload(poll_seconds=10)):
        assert f"${plan(replace(given, session_minutes=160)).least:.2f}" in text


def test_every_plan_has_a_price_or_a_reason() -> None:
    """Also when the free ones are exhausted."""
    busy = Measured(dict(KNOWN.found) | {"scales": [scale(100, 100, 3.0), scale(10_000, 60_000, 4.0)]})
    report = plan(Workload(users=10_000), busy)
    assert set(report.plans) == set(PLANS)
    assert report.exceeded["free"] == ["commands", "bandwidth"]
    assert report.exceeded["free-daily"] == ["commands"]
    assert report.plans["payg"] is not None
    assert report.plans["free"] is None
    assert report.least >= sum(report.dollars.values())


def test_allowances_are_taken_off() -> None:
    """A million Lambda requests are free; further ones are not."""
    assert plan(HUNDRED, KNOWN).dollars["Lambda"] == 0
    report = plan(Workload(users=10_000), KNOWN)
    requests = report.amounts["requests"] - prices.FREE_LAMBDA_REQUESTS
    seconds = max(0.0, report.amounts["gb_seconds"] - prices.FREE_LAMBDA_GB_SECONDS)
    expected = requests * prices.LAMBDA_REQUEST + seconds * prices.LAMBDA_GB_SECOND
    assert report.dollars["Lambda"] == pytest.approx(expected)


def test_the_table_names_every_plan_and_quota(capsys: pytest.CaptureFixture[str]) -> None:
    """It also compares with the guide."""
    assert main(["--users", "250"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in PLANS)
    assert "the guide: 875" in said
    assert "Lambda 1M requests" in said


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the workload, and the lowest total."""
    assert main(["--users", "100", "--poll-seconds", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["workload"]["poll_seconds"] == 10
    assert found["least"] > 0


def test_the_free_tier_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 while Redis and DynamoDB cost nothing."""
    assert main(["--free-tier", "--check"]) == 0
    assert "Redis, plan free-daily" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["0", "-5", "inf", "nan", "many"])
def test_nonsense_is_refused(wrong: str) -> None:
    """Invalid arguments end with a usage text, not with a traceback."""
    with pytest.raises(SystemExit, match="2"):
        main(["--sessions", wrong])


def test_the_chart_marks_where_each_quota_ends(tmp_path: Path) -> None:
    """An SVG of all plans with a price and all quotas, which says at how many users each is exhausted."""
    file = tmp_path / "cost.svg"
    assert main(["--plot", str(file)]) == 0
    texts = {each.text or "" for each in ET.fromstring(file.read_text()).iter()}  # noqa: S314 - written above
    assert {"AWS", "Redis, payg", "Dollars a month"} <= texts
    for quota in ("Lambda 1M requests", "DynamoDB 25/25", "CloudWatch 5 GB logs"):
        assert any(each.startswith(f"{quota}: ends at ") for each in texts), quota
