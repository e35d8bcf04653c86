"""Dashboard, alarms, saved queries and runbook name what the code emits, and all that it emits is documented."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local.template.intrinsics import Resolver, parse
from operators.usage import METRICS, NAMESPACE
from shared.cache.refusals import KINDS
from shared.domain import plans
from shared.observability import telemetry
from shared.settings import DETAILS, SERVICE
from tests.cases import case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
RUNBOOK: Final = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
FREE: Final = 10
"""Alarms' metrics, and metrics of ours, that CloudWatch bills nobody for."""
FREE_DASHBOARD_METRICS: Final = 50
AWS_METRICS: Final = {
    "AWS/ApiGateway": {
        *("Count", "4xx", "5xx", "Latency"),
        *("ConnectCount", "MessageCount", "ClientError", "IntegrationError"),
    },
    "AWS/Lambda": {"Throttles", "IteratorAge"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
    "AWS/DynamoDB": {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "WriteThrottleEvents",
    },
}
"""What AWS' own documentation calls the metrics that are used here."""
FIELDS: Final = frozenset(
    {
        *(
            "function",
            "route",
            "channel",
            "user",
            "status",
            "code",
            "ms",
            "cold",
            "tier",
            "hit_rate",
            "read_units",
        ),
        *("write_units", "calls", "conflicts", "voids", "redis_commands", "redis", "request_id", "trace"),
        *("api_request_id", "aws_error", "redis_failures", "redis_breaker", "redis_pending"),
    }
)
"""Of the lines of requests, besides the metrics; `tests/shared/observability/test_telemetry.py` sees them."""
OF_REALTIME: Final = frozenset(
    {
        *(
            "connection",
            "records",
            "connections",
            "frames",
            "frame_bytes",
            "lag_ms",
            "max_lag_ms",
            "fan_out_ms",
        ),
        *("gone", "retried", "dropped", "slow", "refused", "poisoned", "failed"),
    }
)
"""Of the lines of clients' frames and of the dispatcher's batches; seen in `tests/functions/test_receive_frame.py` and
`tests/functions/test_dispatch_changes.py`."""
COMMON: Final = frozenset({"@timestamp", "message", "level", "error", "frames"})
"""Of every line, and of a crash's."""
WORDS: Final = frozenset(
    {
        *(
            "fields",
            "filter",
            "sort",
            "desc",
            "limit",
            "stats",
            "count",
            "as",
            "sum",
            "by",
            "pct",
            "and",
            "bin",
        ),
        "ispresent",
    }
)
"""Of CloudWatch's query language."""

Document = dict[str, Any]
Metric = tuple[str, str]


def resolver(**parameters: str) -> Resolver:
    """With these parameters, the others at their defaults."""
    defaults = {name: each["Default"] for name, each in TEMPLATE["Parameters"].items()}
    return Resolver(defaults | parameters, TEMPLATE["Conditions"])


def resources(document: Document, kind: str) -> dict[str, Document]:
    """The properties of all resources of a kind."""
    found = document["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == kind}


def alarms(document: Document) -> dict[str, Document]:
    """The alarms' properties."""
    return resources(document, "AWS::CloudWatch::Alarm")


def alarm_metrics(alarm: Document) -> Iterator[tuple[Metric, list[Document]]]:
    """What an alarm watches, with its dimensions."""
    if "MetricName" in alarm:
        yield (alarm["Namespace"], alarm["MetricName"]), alarm.get("Dimensions", [])
    for each in alarm.get("Metrics", []):
        if "MetricStat" in each:
            metric = each["MetricStat"]["Metric"]
            yield (metric["Namespace"], metric["MetricName"]), metric.get("Dimensions", [])


def dashboard(document: Document, stack: str = "budgie", realtime: str = "on") -> Document:
    """The dashboard's body, with names for what only a deployment knows."""
    (properties,) = resources(document, "AWS::CloudWatch::Dashboard").values()
    names = {name: name.lower() for name in ("HttpApi", "Table", "RealtimeApi", "DispatchChangesFunction")}
    names |= {"AWS::StackName": stack, "DispatchFailures.QueueName": "queue", "Realtime": realtime}
    text, values = properties["DashboardBody"]["Fn::Sub"]
    known = {name: "1" if "Fn::FindInMap" in each else each for name, each in values.items()}
    body: Document = json.loads(resolver(**names).resolve({"Fn::Sub": [text, known]}))
    return body


def dashboard_metrics(document: Document, stack: str = "budgie") -> list[tuple[Metric, list[str]]]:
    """What the dashboard shows, with its dimensions."""
    rows = [
        row for widget in dashboard(document, stack)["widgets"] for row in widget["properties"]["metrics"]
    ]
    plain = [[each for each in row if isinstance(each, str)] for row in rows]
    return [((row[0], row[1]), row[2:]) for row in plain if row]


def queries(document: Document) -> dict[str, str]:
    """The saved queries' texts."""
    found = resources(document, "AWS::Logs::QueryDefinition")
    return {name: each["QueryString"] for name, each in found.items()}


def anchors(text: str) -> set[str]:
    """The addresses of a page's sections, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def documented(text: str) -> dict[str, str]:
    """The metrics in the runbook's tables, with their units; the names of a family are in its meaning."""
    section = text.split("\n## Metrics\n")[1].split("\n### ", maxsplit=1)[0]
    rows = re.findall(r"^\| (`.+?) \| (\w+) \| (.+) \|$", section, re.MULTILINE)
    found: dict[str, str] = {}
    for names, unit, meaning in rows:
        source = meaning.partition(": ")[2] if "<" in names else names
        found |= dict.fromkeys(re.findall(r"`(\w+)`", source), unit)
    return found


def findings(document: Document, text: str, emitted: Mapping[str, str]) -> list[str]:
    """Everything in which template, runbook and code disagree."""
    return [
        *_unknown_metrics(document, emitted),
        *_wrong_sections(document, text),
        *_unknown_fields(document, emitted),
        *(f"{name} is not documented" for name in set(emitted) - set(documented(text))),
        *(f"{name} is documented, not emitted" for name in set(documented(text)) - set(emitted)),
        *(f"{name}: unit" for name, unit in documented(text).items() if emitted.get(name, unit) != unit),
        *(f"make usage asks for {name}" for name in METRICS if name not in emitted),
    ]


def _unknown_metrics(document: Document, emitted: Mapping[str, str]) -> Iterator[str]:
    known = AWS_METRICS | {telemetry.NAMESPACE: set(emitted)}
    used = [(name, metric) for name, each in alarms(document).items() for metric, _ in alarm_metrics(each)]
    used += [("Dashboard", metric) for metric, _ in dashboard_metrics(document)]
    yield from (
        f"{who}: no metric {metric}" for who, metric in used if metric[1] not in known.get(metric[0], ())
    )


def _wrong_sections(document: Document, text: str) -> Iterator[str]:
    for name, alarm in alarms(document).items():
        section = re.search(r"Runbook: docs/operations\.md#([\w-]+)$", alarm["AlarmDescription"])
        if not section or section[1] not in anchors(text):
            yield f"{name} has no section"
        if f"`{name}`" not in text:
            yield f"the runbook does not speak of {name}"


def _unknown_fields(document: Document, emitted: Mapping[str, str]) -> Iterator[str]:
    known = (
        FIELDS | OF_REALTIME | COMMON | WORDS | set(emitted) | {f"redis.{each}" for each in telemetry.REASONS}
    )
    known |= {f"redis_failures.{each}" for each in KINDS}
    for name, text in queries(document).items():
        own = set(re.findall(r"\bas (\w+)", text))
        words = re.findall(r"(?<![\w.])@?[A-Za-z_][\w.]*", re.sub(r'"[^"]*"', "", text))
        yield from (f"{name}: no field {word}" for word in words if word not in known | own)


def test_all_of_it_agrees() -> None:
    """Alarms, dashboard and queries name what is emitted, and the runbook explains it."""
    assert findings(TEMPLATE, RUNBOOK, telemetry.FULL) == []


def renamed(old: str, new: str) -> dict[str, str]:
    """What the code would emit if one metric had another name."""
    return {new if name == old else name: unit for name, unit in telemetry.FULL.items()}


def test_a_metric_that_is_renamed_in_code_alone_is_found() -> None:
    """A dashboard or alarm with the old name would show nothing."""
    for name in telemetry.BASIC:
        with case(name):
            found = findings(TEMPLATE, RUNBOOK, renamed(name, "Renamed"))
            assert f"{name} is documented, not emitted" in found
            assert "Renamed is not documented" in found
            assert any("no metric" in each for each in found)


def changed(change: Callable[[Document], object]) -> Document:
    """The template with a change."""
    document = copy.deepcopy(TEMPLATE)
    change(document["Resources"])
    return document


def with_properties(name: str, **properties: str) -> Document:
    """The template with other properties of a resource."""
    document = copy.deepcopy(TEMPLATE)
    document["Resources"][name]["Properties"].update(properties)
    return document


def test_an_alarm_without_a_section_is_found() -> None:
    """Whether its section is missing from the runbook or its description does not name it."""
    for name in alarms(TEMPLATE):
        with case(name):
            section = TEMPLATE["Resources"][name]["Properties"]["AlarmDescription"].partition("#")[2]
            without = "\n".join(line for line in RUNBOOK.split("\n") if section not in anchors(line))
            assert f"{name} has no section" in findings(TEMPLATE, without, telemetry.FULL)
            silent = with_properties(name, AlarmDescription="Something is wrong.")
            assert f"{name} has no section" in findings(silent, RUNBOOK, telemetry.FULL)


def test_a_query_for_a_field_that_no_line_has_is_found() -> None:
    """It would find nothing, silently."""
    for name in queries(TEMPLATE):
        with case(name):
            broken = with_properties(name, QueryString="filter duration > 3")
            assert findings(broken, RUNBOOK, telemetry.FULL) == [f"{name}: no field duration"]


def test_another_unit_in_the_runbook_is_found() -> None:
    """Bytes are no counts."""
    wrong = RUNBOOK.replace("| `RedisStoredBytes` | Bytes |", "| `RedisStoredBytes` | Count |")
    assert findings(TEMPLATE, wrong, telemetry.FULL) == ["RedisStoredBytes: unit"]


# --- what it watches, and what it costs ---


def test_our_metrics_are_asked_for_as_they_are_emitted() -> None:
    """With the dimension that every line has: under another, CloudWatch finds nothing."""
    for alarm in alarms(TEMPLATE).values():
        for (namespace, _), dimensions in alarm_metrics(alarm):
            if namespace == telemetry.NAMESPACE:
                assert dimensions == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
    for (namespace, _), names in dashboard_metrics(TEMPLATE, "of-a-team"):
        if namespace == telemetry.NAMESPACE:
            assert names == ["service", "of-a-team"]
    assert telemetry.NAMESPACE == NAMESPACE


def test_two_stacks_in_a_region_have_metrics_of_their_own() -> None:
    """Functions emit under the name of their stack, which alarms, dashboard and `make usage` ask for."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
    code = (
        "from shared.observability.telemetry import directive, logger; import json\n"
        "logger().info('request', fields={'Latency': 1}, directive=directive({'Latency': 1}))"
    )
    for given, name in (("of-a-team", "of-a-team"), ("", SERVICE)):
        ended = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", code],
            env=os.environ | {"POWERTOOLS_SERVICE_NAME": given},
            capture_output=True,
            text=True,
            check=True,
        )
        line = json.loads(ended.stdout)
        assert line["service"] == name
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


def test_no_name_of_a_stack_is_written_into_the_template() -> None:
    """Explicit names begin with the stack's, so that two stacks fit into one account."""
    for name, each in TEMPLATE["Resources"].items():
        for key in ("LogGroupName", "DashboardName", "Name"):
            if key in each["Properties"]:
                assert "${AWS::StackName}" in str(each["Properties"][key]), name


def test_slow_answers_are_seen_however_few_there_are() -> None:
    """The alarm evaluates a p99 of fewer than 1,000 requests a period too, which CloudWatch skips by default."""
    percentiles = [each for each in alarms(TEMPLATE).values() if "ExtendedStatistic" in each]
    assert percentiles
    assert {each["EvaluateLowSampleCountPercentile"] for each in percentiles} == {"evaluate"}


def test_throttles_of_an_index_are_seen() -> None:
    """By the functions' own metric always; with `full` by DynamoDB's, which has them under the index's name alone."""
    assert ("Budgie", "Throttles") in watched_metrics("TableThrottlesAlarm")
    table = TEMPLATE["Resources"]["Table"]["Properties"]
    indexes = {each["IndexName"] for each in table["GlobalSecondaryIndexes"]}
    dimensions = [
        ({each["Name"]: each["Value"] for each in found}, metric)
        for metric, found in alarm_metrics(alarms(TEMPLATE)["IndexThrottlesAlarm"])
    ]
    wanted = [
        ({"TableName": {"Ref": "Table"}, "GlobalSecondaryIndexName": index}, ("AWS/DynamoDB", name))
        for index in sorted(indexes)
        for name in ("ReadThrottleEvents", "WriteThrottleEvents")
    ]
    assert dimensions == wanted
    shown = {tuple(names) for (_, name), names in dashboard_metrics(TEMPLATE) if "ThrottleEvents" in name}
    of_indexes = {("TableName", "table", "GlobalSecondaryIndexName", index) for index in indexes}
    assert shown == {("TableName", "table")} | of_indexes


def watched_metrics(name: str) -> list[Metric]:
    """The metrics of an alarm."""
    return [metric for metric, _ in alarm_metrics(alarms(TEMPLATE)[name])]


def test_alarms_and_dashboard_need_no_detail() -> None:
    """What is watched is emitted under ``METRICS_DETAIL=basic`` as well."""
    used = [metric for each in alarms(TEMPLATE).values() for metric, _ in alarm_metrics(each)]
    used += [metric for metric, _ in dashboard_metrics(TEMPLATE)]
    ours = {name for namespace, name in used if namespace == telemetry.NAMESPACE}
    assert ours == set(telemetry.BASIC)
    assert TEMPLATE["Parameters"]["MetricsDetail"]["AllowedValues"] == list(DETAILS)


def deployed_alarms(**parameters: str) -> list[str]:
    """The alarms of a deployment with these parameters."""
    found = {name: TEMPLATE["Resources"][name].get("Condition") for name in alarms(TEMPLATE)}
    return [
        name
        for name, condition in found.items()
        if condition is None or resolver(**parameters).holds(condition)
    ]


def test_it_is_free() -> None:
    """Ten alarm metrics, ten metrics while nothing is wrong, a dashboard of at most 50, unless more is asked for."""
    for redis, realtime in product(("", "https://some.upstash.io"), ("off", "on")):
        with case(redis, realtime):
            parameters = {"UpstashRedisRestUrl": redis, "Realtime": realtime}
            always = deployed_alarms(**parameters)
            assert len([metric for name in always for metric in watched_metrics(name)]) <= FREE
            assert set(always) < set(deployed_alarms(**parameters, MetricsDetail="full"))
    assert TEMPLATE["Parameters"]["MetricsDetail"]["Default"] == "basic"
    assert len(set(telemetry.BASIC) - telemetry.TROUBLE) <= FREE
    assert len(dashboard_metrics(TEMPLATE)) <= FREE_DASHBOARD_METRICS
    basic, full = len(telemetry.BASIC), len(telemetry.FULL)
    assert f"there are {basic} or {full}." in RUNBOOK
    assert f"up to {full - basic} more metrics" in TEMPLATE["Parameters"]["MetricsDetail"]["Description"]


def test_alarms_that_give_way_only_ring_earlier_than_others() -> None:
    """With Redis and Realtime; nothing that users notice goes unseen. Without either each has all of its own."""
    redis, both = (
        {"UpstashRedisRestUrl": "https://some.upstash.io"},
        set(alarms(TEMPLATE)) - {"IndexThrottlesAlarm"},
    )
    assert both - set(deployed_alarms(**redis, Realtime="on")) == {
        "ContentionAlarm",
        "LambdaThrottlesAlarm",
        "TableThrottlesAlarm",
    }
    of_redis = {name for name in both if name.startswith("Redis")}
    of_realtime = {"DispatchLagAlarm", "IteratorAgeAlarm", "DispatchFailuresAlarm"}
    assert both - set(deployed_alarms(**redis)) == of_realtime
    assert both - set(deployed_alarms(Realtime="on")) == of_redis
    assert {widget["properties"]["title"] for widget in dashboard(TEMPLATE, realtime="off")["widgets"]}


def test_every_alarm_tells_somebody_and_ends() -> None:
    """It rings and clears over the topic, and is quiet where nothing happens."""
    for name in alarms(TEMPLATE):
        with case(name):
            alarm = alarms(TEMPLATE)[name]
            assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
            assert alarm["TreatMissingData"] == "notBreaching"


def test_thresholds_of_plans_are_those_of_the_code() -> None:
    """The template's table and ``shared/domain/plans.py`` say the same of each plan that has limits."""
    table = TEMPLATE["Mappings"]["UpstashPlans"]
    assert (
        sorted(table) == sorted(plans.PLANS) == sorted(TEMPLATE["Parameters"]["UpstashPlan"]["AllowedValues"])
    )
    for name, plan in plans.PLANS.items():
        if limit := plan.commands_a_day or (plan.commands_a_month or 0) / plans.DAYS:
            assert table[name]["CommandsADay"] == int(limit * plans.BUSY)
        if plan.stored_bytes:
            assert table[name]["StoredBytes"] == plan.stored_bytes * plans.FULL
    assert table["free-daily"] == {"CommandsADay": 8_000, "StoredBytes": 200 * plans.MIB}


def test_queries_look_into_every_functions_log() -> None:
    """A request's story may pass through any of them. Those of realtime look into logs of its own functions alone."""
    functions = TEMPLATE["Resources"].items()
    logs = {
        each["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]: each.get("Condition")
        for _, each in functions
        if each["Type"] == "AWS::Serverless::Function"
    }
    of_realtime = {name for name, condition in logs.items() if condition == "Pushes"}
    for realtime, wanted in (("on", set(logs)), ("off", set(logs) - of_realtime)):
        names = resolver(**{name: name for name in logs}, Realtime=realtime)
        for query, properties in resources(TEMPLATE, "AWS::Logs::QueryDefinition").items():
            found = set(names.resolve(properties["LogGroupNames"]))
            if TEMPLATE["Resources"][query].get("Condition") == "Pushes":
                assert found <= of_realtime
            else:
                assert found == wanted


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    """A section that is renamed takes its links along."""
    assert set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) <= anchors(RUNBOOK)
