"""A request's line is its metrics' document: what is counted, when, and at what price."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.metrics import MetricUnit
from fastapi import Response

from shared.cache.blocks import ChannelList
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.upstash import UpstashOptions
from shared.domain.errors import BudgieError, ContentionError, MisconfiguredError, RateLimitedError
from shared.observability.meter import CacheMetrics, Ledger, Meter, meter, start_meter
from shared.observability.telemetry import (
    BASIC,
    DISPATCHER,
    FULL,
    NAMESPACE,
    TROUBLE,
    directive,
    values,
)
from shared.settings import SERVICE, LogSettings, Settings, SettingsError
from shared.web.app import create_app, create_handler
from shared.web.middleware import trace_root
from tests.api import event
from tests.fakes import FakeUpstash, MeasuredUpstash
from tests.functions.chat import messages
from tests.test_observability import COMMON, FIELDS, OF_REALTIME, RUNBOOK

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.errors import BudgieError as Error
    from tests.conftest import FakeClock
    from tests.functions.chat import Chat

    Log = Callable[[], list[dict[str, Any]]]

MAX_LINE_BYTES = 1_200
FREE_METRICS = 10
NOTHING: dict[str, Any] = {"ms": 3.5, "is_cold": False, "code": None}


def metrics_of(line: dict[str, Any]) -> dict[str, float]:
    """The metrics that CloudWatch reads out of a line."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    return {each["Name"]: line[each["Name"]] for each in directive["Metrics"]}


# --- the line ---


def test_a_line_is_a_valid_emf_document(chat: Chat, log: Log) -> None:
    """Namespace, the one dimension, the time, and for each metric a unit and a number at the top of the line."""
    chat.channel()
    line = log()[-1]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == (NAMESPACE, [["service"]])
    assert line["service"] == "budgie"
    assert isinstance(line["_aws"]["Timestamp"], int)
    for metric in directive["Metrics"]:
        assert metric["Unit"] == BASIC[metric["Name"]]
        assert isinstance(line[metric["Name"]], int | float)


def test_a_line_has_the_fields_that_queries_and_runbook_name(chat: Chat, log: Log) -> None:
    """A refusal, a success and a crash together write all of them, and none that is not documented."""
    channel = chat.channel()
    chat.post(channel)
    headers = {"x-amzn-trace-id": f"Root=1-{'0' * 8}-{'1' * 24}", "x-request-id": "mine"}
    chat.api("GET", f"{messages(channel)}/nonesuch", headers=headers)
    chat.api("GET", messages(channel))
    app = create_app("tested")

    @app.get("/v1/healthz")
    async def crashes() -> Response:
        meter().command("get_pages")
        meter().charge(throttles=1)
        meter().failed("ThrottlingException", is_permanent=False)
        meter().ledger.begin()
        meter().ledger.failed("timeout")
        meter().breaker = "timeout"
        raise RuntimeError

    create_handler(app)(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # nothing looks at the context
    found = {name for line in log() for name in line} - {"_aws", "service", "location", "timestamp"}
    assert found - set(FULL) == FIELDS | COMMON - {"@timestamp"}
    section = RUNBOOK.split("### A line's fields")[1]
    assert not [name for name in FIELDS | OF_REALTIME if f"`{name}`" not in section]


def test_a_request_writes_one_line(chat: Chat, log: Log) -> None:
    """Line and metrics document are the same: nothing is paid for twice."""
    channel, before = chat.channel(), len(log())
    chat.api("GET", messages(channel))
    assert len(log()) == before + 1


def test_a_line_is_short(chat: Chat, log: Log) -> None:
    """At $0.50 a GB: with all that a request in a deployment has, its trace and a client's id among it."""
    channel = chat.channel()
    chat.post(channel)
    headers = {"x-request-id": "0" * 36, "x-amzn-trace-id": f"Root=1-{'a' * 8}-{'b' * 24}"}
    made = event("GET", messages(channel), headers=headers)
    made["routeKey"] = "GET /v1/channels/{channel_id}/messages"
    for _ in range(2):
        chat.api.invoke(made)
    for line in log()[-2:]:
        assert line["trace"] == f"1-{'a' * 8}-{'b' * 24}"
        in_lambda = len('"xray_trace_id":"1-aaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbb",')
        assert len(json.dumps(line, separators=(",", ":"))) + in_lambda <= MAX_LINE_BYTES


def test_a_read_is_counted_and_so_is_a_hit(chat: Chat, log: Log) -> None:
    """The first read of a page finds nothing cached, the second does."""
    channel = chat.channel()
    chat.post(channel)
    counted = []
    for _ in range(2):
        chat.api("GET", messages(channel))
        counted.append(metrics_of(log()[-1]))
    assert [each.get("CacheReads") for each in counted] == [1, 1]
    assert [each.get("CacheHits") for each in counted] == [None, 1]


@pytest.mark.parametrize(
    ("error", "metric"),
    [
        (RuntimeError("x"), "Crashes"),
        (ContentionError(), "Contention"),
        (RateLimitedError(), "RateLimited"),
        (MisconfiguredError(), "Misconfigured"),
        (SettingsError("TABLE_NAME: wrong"), "Misconfigured"),
    ],
)
def test_failures_that_alarms_watch_are_metrics(log: Log, error: Exception, metric: str) -> None:
    """A crash (which Mangum hides from Lambda), a post that gave up, a rate limit, a wrong setting."""
    app = create_app("tested")

    @app.get("/v1/healthz")
    async def fails() -> Response:
        raise error

    create_handler(app)(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # nothing looks at the context
    counted = metrics_of(log()[-1])
    assert counted[metric] == 1
    assert not (TROUBLE - {metric}) & set(counted)


def test_a_permanent_refusal_is_a_metric_whoever_noticed_it(log: Log) -> None:
    """Also where the request went well without, as one whose Redis token could not be read: with the next line."""
    app = create_app("tested")
    late: list[Meter] = []

    @app.get("/v1/healthz")
    async def responses() -> Response:
        late.append(meter())
        return Response()

    handler, before = create_handler(app), len(log())
    for _ in range(3):
        handler(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # nothing looks at the context
        if len(late) == 1:
            late[0].failed("ParameterNotFound", is_permanent=True)
            late[0].failed("AccessDeniedException", is_permanent=True)
    assert [metrics_of(line).get("Misconfigured") for line in log()[before:]] == [None, 1, None]


def test_throttles_are_a_metric_also_where_the_next_try_went_well() -> None:
    """The alarm counts what DynamoDB refused, not what users noticed."""
    made = start_meter(Ledger())
    made.charge(throttles=2)
    assert values(made, **NOTHING, detailed=False) == {"Latency": 3.5, "Throttles": 2}


def test_a_cold_start_is_counted_once(log: Log) -> None:
    """With a container's first request."""
    handler, before = create_handler(create_app("tested")), len(log())
    for _ in range(2):
        handler(event("GET", "/x"), None)  # type: ignore[arg-type]  # as above
    assert [metrics_of(line).get("ColdStarts") for line in log()[before:]] == [1, None]


def test_commands_that_end_after_their_request_are_reported_by_the_next(log: Log) -> None:
    """None is lost, none counted twice: they are what Upstash bills."""
    app = create_app("tested")
    late: list[Meter] = []

    @app.get("/v1/healthz")
    async def begins() -> Response:
        late.append(meter())
        return Response()

    handler, before = create_handler(app), len(log())
    for _ in range(3):
        handler(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # as above
        if len(late) == 1:
            late[0].command("put_pages")
            late[0].ledger.stored("pages", 700)
    found = [
        (metrics_of(line).get("RedisCommands"), line.get("RedisStoredBytes"), line.get("redis"))
        for line in log()[before:]
    ]
    assert found == [(None, None, None), (1, 700, {"put_pages": 1}), (None, None, None)]


def test_the_outline_of_a_request_is_written_where_it_is_debugged(chat: Chat, log: Log) -> None:
    """By default no debug line is written; a sample of requests, or a setting, turns them on."""
    chat.channel()
    assert {line["message"] for line in log()} == {"request"}
    logging.getLogger("budgie").setLevel(logging.DEBUG)  # the fixture sets it back
    chat.channel()
    begins, ended = log()[-2:]
    assert (begins["level"], begins["message"]) == ("DEBUG", "request begins")
    assert begins["body_characters"] > 0
    assert begins["request_id"] == ended["request_id"]


@pytest.mark.parametrize(
    ("rate", "level", "lines"),
    [("1", "", 6), ("", "", 3), ("", "DEBUG", 6)],
)
def test_debug_lines_are_sampled(rate: str, level: str, lines: int) -> None:
    """At rate 1 or level DEBUG each request has its outline, by default none; empty variables are none."""
    code = (
        "from shared.web.app import create_app, create_handler; from tests.api import event\n"
        "handler = create_handler(create_app('tested'))\n"
        "for _ in range(3): handler(event('GET', '/x'), None)"
    )
    environment = os.environ | {"POWERTOOLS_LOGGER_SAMPLE_RATE": rate, "LOG_LEVEL": level}
    ended = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert len(ended.stdout.splitlines()) == lines


@pytest.mark.parametrize(
    ("header", "root"),
    [
        (f"Root=1-{'0' * 8}-{'1' * 24};Parent=x;Sampled=1", f"1-{'0' * 8}-{'1' * 24}"),
        (f"Self=1-x;Root=1-{'0' * 8}-{'1' * 24}", f"1-{'0' * 8}-{'1' * 24}"),
        ("Root=secret", None),
        ("", None),
    ],
)
def test_only_a_trace_is_taken_for_one(header: str, root: str | None) -> None:
    """Nothing else that a client sends there gets into the log."""
    assert trace_root({"headers": {"x-amzn-trace-id": header}}) == root


# --- the metrics ---


def test_basic_metrics_are_free() -> None:
    """CloudWatch gives ten, and bills $0.30 a month for each more, by the hour; trouble alone writes more."""
    assert len(set(BASIC) - TROUBLE) <= FREE_METRICS
    assert set(BASIC) < set(FULL)


def test_metrics_of_trouble_are_written_in_trouble_alone() -> None:
    """A successful request emits none of them: an hour without failures pays for none."""
    made = start_meter(Ledger())
    CacheMetrics().read("pages", "memory")
    made.command("get_pages")
    made.ledger.stored("pages", 100)
    made.conflicts, made.voids = 1, 1
    made.close()
    found = values(made, **NOTHING | {"is_cold": True}, detailed=False)
    assert set(found) == set(BASIC) - TROUBLE - set(DISPATCHER)


@pytest.mark.parametrize("text", ["full", " full ", '"full"', "'full'", "basic", '"basic"', ""])
def test_log_settings_read_the_detail_as_the_settings_do(text: str) -> None:
    """Blanks and quotes around the value are ignored."""
    found = LogSettings.from_env({"METRICS_DETAIL": text}).is_detailed
    assert found == (Settings.from_env({"METRICS_DETAIL": text}).metrics_detail == "full")


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({}, "INFO"),
        ({"LOG_LEVEL": ""}, "INFO"),
        ({"LOG_LEVEL": " debug "}, "DEBUG"),
        ({"LOG_LEVEL": "loud"}, "INFO"),
        ({"LOG_LEVEL": "ERROR", "POWERTOOLS_LOG_LEVEL": ""}, "ERROR"),
        ({"LOG_LEVEL": "ERROR", "POWERTOOLS_LOG_LEVEL": "WARNING"}, "WARNING"),
    ],
)
def test_log_settings_never_refuse_a_level(variables: dict[str, str], level: str) -> None:
    """Powertools' variable comes first, an empty one is none, and an unknown level is the default."""
    assert LogSettings.from_env(variables) == LogSettings(SERVICE, level, is_detailed=False)


def test_units_are_cloudwatchs() -> None:
    """An unknown unit would make CloudWatch drop the metric silently."""
    assert set(FULL.values()) <= {unit.value for unit in MetricUnit}


def test_what_is_zero_is_left_out() -> None:
    """A request that did nothing costs one metric."""
    for detailed in (False, True):
        assert values(Meter(), **NOTHING, detailed=detailed) == {"Latency": 3.5}


def busy_meter() -> Meter:
    """Of a request to which everything happened."""
    made = start_meter(Ledger())
    cache = CacheMetrics()
    for outcome in ("memory", "miss", "stale"):
        cache.read("pages", outcome)
    made.charge(read=2.5, write=1)
    made.conflicts, made.voids, made.breaker = 2, 1, "timeout"
    for kind in ("timeout", "garbled", "garbled"):
        made.ledger.failed(kind)
    for reason in ("get_pages", "get_pages", "put_channels"):
        made.command(reason)
    made.ledger.stored("pages", 100)
    made.ledger.stored("lists", 50)
    made.ledger.stored("pages", 200)
    made.close()
    return made


def counted(made: Meter, error: type[Error], *, detailed: bool) -> dict[str, float]:
    """The metrics of a first request that failed so."""
    return values(made, ms=1, is_cold=True, code=error.code, detailed=detailed)


def test_basic_metrics_of_a_busy_request() -> None:
    """Sums, and the bytes under all keys as last seen."""
    assert counted(busy_meter(), ContentionError, detailed=False) == {
        "Latency": 1,
        "ColdStarts": 1,
        "CacheReads": 3,
        "CacheHits": 1,
        "RedisCommands": 3,
        "RedisStoredBytes": 250,
        "RedisFailures": 4,
        "Contention": 1,
    }


def test_full_metrics_say_which() -> None:
    """Errors by code, outcomes by tier, commands by reason, units."""
    basic = counted(busy_meter(), ContentionError, detailed=False)
    found = counted(busy_meter(), ContentionError, detailed=True)
    assert {name: value for name, value in found.items() if name not in basic} == {
        "ReadUnits": 2.5,
        "WriteUnits": 1,
        "Conflicts": 2,
        "Voids": 1,
        "ErrorContention": 1,
        "CacheMemory": 1,
        "CacheMiss": 1,
        "CacheStale": 1,
        "RedisGetPages": 2,
        "RedisPutChannels": 1,
    }
    (told,) = json.loads(directive(found))["CloudWatchMetrics"]
    assert {each["Name"]: each["Unit"] for each in told["Metrics"]} == {name: FULL[name] for name in found}


def test_no_other_name_can_come_up() -> None:
    """An unknown code, outcome or reason is no metric of its own: each would cost money."""
    made = Meter(outcomes=["elsewhere"])
    made.command("canary")
    made.close()
    found = values(made, **NOTHING | {"code": "canary"}, detailed=True)
    assert found == {"Latency": 3.5, "CacheReads": 1, "RedisCommands": 1}


def test_a_crash_is_our_own_500() -> None:
    """A response with the generic error code counts as a crash."""
    assert values(Meter(), **NOTHING | {"code": BudgieError.code}, detailed=False)["Crashes"] == 1


# --- Redis ---


def test_redis_tells_what_it_stores_and_that_it_is_left_alone(clock: FakeClock) -> None:
    """The bundle's bytes as last written and as last read; the breaker with each request that finds it open."""
    upstash, made = FakeUpstash(clock.now), start_meter()
    policy = BundlePolicy(min_new_entries=1)
    tier = RedisTier(upstash, "t:p1", "pages", policy, upstash.metrics, clock.now)
    for _ in range(2):  # it is read, then written
        tier.begin()
        tier.settle()
        tier.put({"c": ChannelList(("a" * 16,))})
    stored = len(upstash.values["t:p1"])
    assert made.ledger.take() == ({}, stored)
    other = RedisTier(upstash, "t:p1", "pages", policy, upstash.metrics, clock.now)
    other.begin()
    other.settle()
    assert made.ledger.take() == ({}, stored)
    assert made.breaker is None
    upstash.breaker.failed(clock.now() + 1_000, "daily_quota")
    tier.begin()
    assert made.breaker == "daily_quota"


def test_a_failure_of_redis_is_named_from_the_first_on(clock: FakeClock) -> None:
    """In the line of the request, or of the container's next, by kind, whether it was sent or could not be."""
    upstash, made = MeasuredUpstash(UpstashOptions("nowhere", "t"), clock.now), start_meter()
    tier = RedisTier(upstash, "t:p1", "pages", BundlePolicy(), upstash.metrics, clock.now)
    for _ in range(2):
        tier.begin()
        tier.settle()
    upstash.close()
    assert made.ledger.take_failures() == {"unreachable": 2}
    assert made.ledger.take_failures() == {}
    assert not made.ledger.is_under_way


def test_a_command_under_way_is_reported(clock: FakeClock) -> None:
    """A container that dies before its first failure still reports that Redis had not responded."""
    gate = threading.Event()

    def read_token() -> str:
        gate.wait(30)
        return "no\nheader"

    options = UpstashOptions("http://127.0.0.1:1", "", read_token=read_token)
    upstash, made = MeasuredUpstash(options, clock.now), start_meter()
    tier = RedisTier(upstash, "t:p1", "pages", BundlePolicy(), upstash.metrics, clock.now)
    tier.begin()
    while not made.ledger.is_under_way:
        time.sleep(0.001)
    gate.set()
    tier.settle()
    upstash.close()
    assert made.ledger.take_failures() == {"refused_token": 1}
    assert not made.ledger.is_under_way
