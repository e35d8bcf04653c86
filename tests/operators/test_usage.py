"""The use of Redis, from CloudWatch and from the local endpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.demo.client import Client
from operators.usage import (
    METRICS,
    NAMESPACE,
    Figures,
    NoUsageError,
    from_cloudwatch,
    from_endpoint,
    main,
    report,
)
from shared.cache.upstash import Upstash, UpstashOptions
from shared.domain.plans import MIB, PLANS, Usage
from shared.observability.meter import CacheMetrics
from tests.endpoint import TOKEN, opened_endpoint, run

if TYPE_CHECKING:
    from pathlib import Path

    from local.upstash.endpoint import UpstashEndpoint

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = NOON.replace(hour=0)


class FakeCloudWatch:
    """Two pages: today and another day of each metric."""

    def __init__(self, days: dict[str, dict[datetime, float]]) -> None:
        self.days = days
        self.asked: list[dict[str, Any]] = []

    def get_metric_data(self, **query: Any) -> dict[str, Any]:
        """One day a page, as if they did not fit."""
        self.asked.append(query)
        page = len(self.asked) - 1
        results = []
        for each in query["MetricDataQueries"]:
            points = sorted(self.days.get(each["Label"], {}).items())[page : page + 1]
            label, times, values = each["Label"], [time for time, _ in points], [value for _, value in points]
            results.append({"Label": label, "Timestamps": times, "Values": values})
        more = any(len(points) > page + 1 for points in self.days.values())
        return {"MetricDataResults": results} | ({"NextToken": "next"} if more else {})


def test_cloudwatch_gives_today_and_the_month() -> None:
    """Sums of a day and of the month, the latest stored bytes, the hit rate of the day; all pages are read."""
    yesterday = TODAY - timedelta(days=1)
    client = FakeCloudWatch(
        {
            "RedisCommands": {yesterday: 149.0, TODAY: 61.0},
            "RedisStoredBytes": {yesterday: 238_108.0, TODAY: 240_000.0},
            "CacheHits": {yesterday: 10.0, TODAY: 96.0},
            "CacheReads": {yesterday: 100.0, TODAY: 100.0},
            "RedisFailures": {yesterday: 9.0, TODAY: 2.0},
        }
    )
    usage = from_cloudwatch(client, NOON).usage
    assert usage == Usage(61, 210, 240_000, 0.96, day_of_month=22.5, failures_today=2)
    assert len(client.asked) == 2


def test_cloudwatch_is_asked_for_whole_days_of_this_month() -> None:
    """From midnight UTC of the first to the end of today, by day, in our namespace."""
    client = FakeCloudWatch({})
    from_cloudwatch(client, NOON, "of-a-team")
    (asked,) = client.asked
    assert (asked["StartTime"], asked["EndTime"]) == (TODAY.replace(day=1), TODAY + timedelta(days=1))
    metrics = [each["MetricStat"] for each in asked["MetricDataQueries"]]
    assert {each["Period"] for each in metrics} == {86_400}
    assert {each["Metric"]["Namespace"] for each in metrics} == {NAMESPACE} == {"Budgie"}
    assert {each["Metric"]["MetricName"]: each["Stat"] for each in metrics} == METRICS
    assert all(
        each["Metric"]["Dimensions"] == [{"Name": "service", "Value": "of-a-team"}] for each in metrics
    )


def test_a_deployment_without_requests_has_no_figures_but_zero() -> None:
    """Metrics that were never emitted are no error."""
    assert from_cloudwatch(FakeCloudWatch({}), NOON).usage == Usage(0, 0, day_of_month=22.5)


def test_the_report_says_when_to_act() -> None:
    """Figures against the plan, and the guide's advice."""
    usage = Usage(9_000, 100_000, 210 * MIB, 0.912, 31, day_of_month=30)
    text = report(PLANS["free-daily"], Figures("a test", usage))
    assert "9,000 of 10,000" in text
    assert "91.2%" in text
    assert text.count("ACT:") == 3
    assert "All is well" in report(PLANS["free"], Figures("a test", Usage(10, 100)))


def test_the_report_says_that_redis_fails() -> None:
    """It never says that all is well then: it says why Redis fails now, or how often it failed today."""
    now = report(PLANS["free"], Figures("a test", Usage(10, 100, trouble="redis_monthly_quota")))
    assert "ACT: Redis is failing now: redis_monthly_quota" in now
    for failures, urgency in ((2, "note"), (5, "ACT")):
        today = report(PLANS["free"], Figures("a test", Usage(10, 100, failures_today=failures)))
        assert f"{urgency}: Redis failed {failures} times today" in today
        assert "All is well" not in now + today


def test_without_a_local_stack_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, status 2."""
    assert main([], {}, tmp_path) == 2
    assert "make run" in capsys.readouterr().err


def test_a_wrong_plan_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a list of plans."""
    assert main([], {"UPSTASH_PLAN": "gold"}, tmp_path) == 2
    assert "'gold', not one of free-daily" in capsys.readouterr().err


def test_a_database_of_the_developers_own_is_not_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Upstash has no path for it; the console shows it."""
    own = {"UPSTASH_REDIS_REST_URL": "https://x.upstash.io", "UPSTASH_REDIS_REST_TOKEN": "secret"}
    assert main([], own, tmp_path) == 2
    said = capsys.readouterr().err
    assert "console" in said
    assert "secret" not in said


def _main(endpoint: UpstashEndpoint, state: Path, *arguments: str) -> int:
    (state / ".local").mkdir(exist_ok=True)
    (state / ".local" / "upstash-token").write_text(TOKEN)
    return main(["--url", endpoint.url, *arguments], {}, state)


@pytest.mark.stack
def test_the_local_endpoint_gives_its_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands as Upstash bills them; reading them costs none, and 8,000 of 10,000 make `--check` exit with 1."""
    with opened_endpoint(tmp_path) as endpoint:
        run(endpoint, "SET", "key", "value")
        run(endpoint, "GET", "key")
        assert _main(endpoint, tmp_path, "--json", "--check") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["plan"]["name"], found["usage"]["commands_today"]) == ("free", 2)
        assert found["usage"]["stored_bytes"] > 0
        pipeline = [["PING"], *[["GET", "key"]] * 8_000]
        with Client(endpoint.url, lambda _: TOKEN) as client:
            assert client.call("POST", "/pipeline", "test", body=pipeline).status == 200
        assert _main(endpoint, tmp_path, "--plan", "free-daily", "--check") == 1
        assert "ACT: 8,002 of 10,000 commands today" in capsys.readouterr().out


@pytest.mark.stack
def test_a_wrong_token_is_no_figure(tmp_path: Path) -> None:
    """Another project's endpoint on the same port is not mistaken for ours."""
    with (
        opened_endpoint(tmp_path) as endpoint,
        Client(endpoint.url, lambda _: "other") as client,
        pytest.raises(NoUsageError, match="401"),
    ):
        from_endpoint(client, None)


@pytest.mark.stack
def test_an_endpoint_that_is_gone_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unreachable endpoint is reported, with the way to name another one."""
    with opened_endpoint(tmp_path) as endpoint:
        pass
    assert _main(endpoint, tmp_path) == 2
    assert "--url" in capsys.readouterr().err


@pytest.mark.stack
def test_functions_count_what_upstash_bills(tmp_path: Path) -> None:
    """The metric that CloudWatch adds up is the endpoint's own count: a health check's PING and INFO are free."""
    with opened_endpoint(tmp_path) as endpoint:
        metrics = CacheMetrics()
        upstash = Upstash(UpstashOptions(endpoint.url, TOKEN, 2_000, 2_000), metrics, lambda: 0)
        for command in (("PING",), ("INFO",), ("SET", "key", "value"), ("GET", "key")):
            upstash.execute("test", *command)
        upstash.close()
        assert metrics.commands == endpoint.usage.commands == 2
