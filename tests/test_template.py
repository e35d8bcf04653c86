"""What `template.yaml` says, beyond policies (`test_policies.py`) and what operators see (`test_observability.py`)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from local.streams.event_source import event_sources
from local.template import load as template
from local.template.intrinsics import Resolver, parse
from operators.realtime_plan import DISPATCHER_GB, MEMORY_GB
from shared.domain.changes import Change, ChangeKind
from shared.domain.model import (
    IDEMPOTENCY_SECONDS,
    Entry,
    Head,
    IdempotencyRecord,
    Kind,
    Membership,
    Role,
)
from shared.domain.realtime import PING_SECONDS, Connection, Watch
from shared.settings import Settings
from shared.storage import items, realtime_items
from shared.storage.log_reader import DEAD_MS
from shared.storage.stream import news_of

ROOT: Final = Path(__file__).resolve().parent.parent
PATH: Final = ROOT / "template.yaml"
DOCUMENT: Final = parse(PATH.read_text(encoding="utf-8"))
RESOURCES: Final[dict[str, Any]] = DOCUMENT["Resources"]
FUNCTIONS: Final = [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"]
Item = dict[str, Any]
LARGEST_FREE: Final = 25
"""Provisioned units of each kind that AWS bills nobody for."""


def test_without_an_issuer_a_user_pool_is_made() -> None:
    """The API then accepts that pool's tokens for its one client."""
    pool = {"UserPool": "us-east-1_abc", "UserPoolClient": "client"}
    authorizer = template.load(PATH, pool).authorizer
    assert authorizer is not None
    assert authorizer.issuer == "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc"
    assert authorizer.audience == ("client",)


def test_nobody_signs_themselves_up() -> None:
    """The client's id is no secret, and a token shows public channels: so users of the pool are made, not born."""
    pool = RESOURCES["UserPool"]["Properties"]
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert RESOURCES["UserPoolClient"]["Properties"]["PreventUserExistenceErrors"] == "ENABLED"


def test_an_issuer_that_is_given_is_taken() -> None:
    """A given issuer is used with its audiences, and no user pool is made."""
    given = {"JwtIssuer": "https://id.example.com", "JwtAudience": "web,phone"}
    authorizer = template.load(PATH, given).authorizer
    assert authorizer is not None
    assert (authorizer.issuer, authorizer.audience) == ("https://id.example.com", ("web", "phone"))
    resolver = Resolver(given, DOCUMENT["Conditions"])
    assert not resolver.holds("MakeUserPool")
    of_the_pool = [
        each for each in (*RESOURCES.values(), *DOCUMENT["Outputs"].values()) if "UserPool" in str(each)
    ]
    assert all(
        each.get("Condition") == "MakeUserPool" for each in of_the_pool if each != RESOURCES["HttpApi"]
    )


def test_the_free_table_is_free() -> None:
    """Table and indexes share what is free; DynamoDB bills an index's units like the table's."""
    table = template.load(PATH, {"TableBilling": "always-free"}).table()
    given = [
        table["ProvisionedThroughput"],
        *(each["ProvisionedThroughput"] for each in table["GlobalSecondaryIndexes"]),
    ]
    assert table["BillingMode"] == "PROVISIONED"
    for unit in ("ReadCapacityUnits", "WriteCapacityUnits"):
        assert sum(each[unit] for each in given) == LARGEST_FREE


def test_the_table_on_demand_has_no_units() -> None:
    """CreateTable refuses units there."""
    table = template.load(PATH).table()
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert "ProvisionedThroughput" not in json.dumps(table)


def test_the_table_is_kept_and_can_be_restored() -> None:
    """Deleting the stack or the table by mistake loses nothing."""
    table = RESOURCES["Table"]
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_a_log_of_its_own_that_ends(function: str) -> None:
    """With the retention of the parameter; without one, logs are kept and billed for ever."""
    assert RESOURCES[function]["Metadata"] == {"BuildMethod": "makefile"}
    group = RESOURCES[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    assert group == function.removesuffix("Function") + "Logs"
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_no_secret_is_in_the_functions_settings() -> None:
    """Functions know the token's parameter, not the token; no parameter of the stack holds it either."""
    variables = DOCUMENT["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["UPSTASH_TOKEN_PARAMETER"] == {"Ref": "UpstashTokenParameter"}
    assert not {"UPSTASH_REDIS_REST_TOKEN", "REDIS_URL"} & set(variables)
    assert not [name for name, each in DOCUMENT["Parameters"].items() if each.get("NoEcho")]


def test_what_the_template_sets_are_settings_that_work() -> None:
    """With and without Redis."""
    for url in ("", "https://some.upstash.io"):
        overrides = {"Table": "chat", "UpstashRedisRestUrl": url, "Realtime": "on", "RealtimeApi": "abc"}
        loaded = template.load(PATH, overrides)
        for name in FUNCTIONS:
            settings = Settings.from_env(loaded.environment(name))
            assert settings.upstash_url == url
            assert settings.realtime_url == "wss://abc.execute-api.us-east-1.amazonaws.com/v1"


def test_access_logs_are_json_and_name_nobody() -> None:
    """One object a line, of API Gateway's variables alone: no query, no claim, no header."""
    (_, of_frames, _) = RESOURCES["RealtimeStage"]["Properties"]["AccessLogSettings"]["Fn::If"]
    for settings in (DOCUMENT["Globals"]["HttpApi"]["AccessLogSettings"], of_frames):
        line = json.loads(settings["Format"])
        assert all(each.startswith("$context.") for each in line.values())
        assert not [each for each in line.values() if "claims" in each or "path" in each.lower()]


# --- realtime ---

IDLE_IS_FREE: Final = {
    "AWS::ApiGatewayV2::Api": "billed by the message of 32 KB and by the minute of a connection",
    "AWS::ApiGatewayV2::Integration": "a part of the API",
    "AWS::ApiGatewayV2::Route": "a part of the API",
    "AWS::ApiGatewayV2::RouteResponse": "a part of the API",
    "AWS::ApiGatewayV2::Stage": "a part of the API",
    "AWS::CloudWatch::Alarm": "ten metrics are free: tests/test_observability.py counts them",
    "AWS::CloudWatch::Dashboard": "three of up to 50 metrics are free: tests/test_observability.py",
    "AWS::Cognito::UserPool": "billed by the users who sign in, from 10,000 on",
    "AWS::Cognito::UserPoolClient": "a part of the pool",
    "AWS::DynamoDB::Table": "on demand; what Lambda reads of its stream is free",
    "AWS::Lambda::Permission": "a part of the function",
    "AWS::Logs::LogGroup": "billed by the byte, and 5 GB a month are free",
    "AWS::Logs::QueryDefinition": "billed when it is run, by the byte that it reads",
    "AWS::SNS::Topic": "billed by the message",
    "AWS::SQS::Queue": "billed by the request: nothing polls it, and the alarm's metric is free",
    "AWS::Serverless::Function": "billed by the invocation; a stream without records invokes nothing",
    "AWS::Serverless::HttpApi": "billed by the request",
}
"""What a resource costs while nobody chats: nothing, and why. A resource of another kind fails the test."""
BILLED_BY_THE_HOUR: Final = (
    *("ProvisionedConcurrencyConfig", "AutoPublishAlias", "ProvisionedPollerConfig"),
    *("KmsMasterKeyId", "KinesisStreamSpecification", "VpcConfig", "ProvisionedThroughput"),
)


def deployed(**parameters: str) -> dict[str, Any]:
    """The resources of a deployment with these parameters, the others at their defaults."""
    defaults = {name: each["Default"] for name, each in DOCUMENT["Parameters"].items()}
    resolver = Resolver(defaults | parameters, DOCUMENT["Conditions"])
    return {
        name: resolver.resolve(each)
        for part in ("Resources", "Outputs")
        for name, each in DOCUMENT[part].items()
        if "Condition" not in each or resolver.holds(each["Condition"])
    }


def test_without_realtime_there_is_not_one_resource_of_it() -> None:
    """No API, function, queue, log, alarm, output, stream or route, and nothing refers to one. Off is the default."""
    off, on = deployed(), deployed(Realtime="on", RealtimeAccessLog="on")
    only_on = set(on) - set(off)
    kinds = {on[name].get("Type") for name in only_on}
    assert {"AWS::ApiGatewayV2::Api", "AWS::SQS::Queue", "AWS::Serverless::Function", None} <= kinds
    text = repr(off)
    assert not [name for name in only_on if name in text]
    assert not re.search(r"ApiGatewayV2|StreamSpecification|StreamArn|ManageConnections|/realtime|wss:", text)
    changed = {name for name in off if off[name] != on[name]}
    assert changed == {"Table"} | {name for name in off if name.endswith("Query")}
    environment = template.load(PATH, {"Table": "chat"}).environment("PostMessageFunction")
    assert environment["REALTIME_URL"] == ""


def test_an_idle_deployment_with_realtime_costs_nothing() -> None:
    """Each of its resources is billed by use alone, and nothing uses one while nobody chats."""
    resources = {name: each for name, each in deployed(Realtime="on").items() if "Type" in each}
    assert {each["Type"] for each in resources.values()} <= set(IDLE_IS_FREE)
    assert not [part for part in BILLED_BY_THE_HOUR if part in repr(resources)]
    assert resources["Table"]["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    events = [
        event["Type"]
        for each in resources.values()
        if each["Type"] == "AWS::Serverless::Function"
        for event in each["Properties"].get("Events", {}).values()
    ]
    assert set(events) == {"HttpApi", "DynamoDB"}, "no schedule, and no queue that Lambda polls"
    assert events.count("DynamoDB") == 1


def test_the_planner_prices_the_functions_memory() -> None:
    """As the template deploys it."""
    memory = {name: RESOURCES[name]["Properties"].get("MemorySize") for name in FUNCTIONS}
    assert {name: each for name, each in memory.items() if each} == {
        "DispatchChangesFunction": DISPATCHER_GB * 1024
    }
    assert DOCUMENT["Parameters"]["MemorySize"]["Default"] == MEMORY_GB * 1024


def test_news_is_not_retried_for_ever() -> None:
    """AWS's defaults would hold a shard up by a record that always fails, and hide it."""
    stream = RESOURCES["DispatchChangesFunction"]["Properties"]["Events"]["TableStream"]["Properties"]
    assert 0 < stream["MaximumRetryAttempts"] <= 5
    assert 60 <= stream["MaximumRecordAgeInSeconds"] <= PING_SECONDS
    assert stream["BisectBatchOnFunctionError"] is True
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert stream["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["DispatchFailures", "Arn"]
    }
    assert len(stream["FilterCriteria"]["Filters"]) <= 5, "AWS's quota"


def images() -> list[tuple[Item | None, Item | None]]:
    """What a write of each kind of item has before it and after it."""
    channel_id, thread_id = "c" * 16, f"{'c' * 16}-00000001"
    head, member = (
        Head(channel_id, Kind.PUBLIC, "", "", "ada", 0),
        Membership("ada", channel_id, Role.MEMBER, 0),
    )
    followed = items.membership_item(member) | items.follow_key(thread_id, "ada")
    connection = Connection("n", "ada", 0, 1)
    record = IdempotencyRecord("key", b"", 1, 1, 1)
    change = Change(1, ChangeKind.PINNED, 1, "ada", 0)
    changed = [
        (items.head_item(head), items.head_item(replace(head, version=2))),
        (items.head_item(head), items.head_item(replace(head, archived_at=1))),
        (items.membership_item(member), items.membership_item(replace(member, read_seq=1))),
        (items.membership_item(member), items.membership_item(replace(member, mentions=frozenset({1})))),
        (followed, followed | {"mentions": {"NS": ["1"]}}),
    ]
    made = [
        *(before for before, _ in changed),
        items.listing_item(head),
        items.entry_item(channel_id, Entry(1, 1, 0, b"{}")),
        items.entry_item(thread_id, Entry(1, 1, 0, None)),
        items.change_item(channel_id, change),
        items.past_membership_item(member),
        items.idempotency_record_item(channel_id, "ada", record),
        realtime_items.ticket_item("0" * 32, "ada", 1),
        realtime_items.connection_item(connection),
        realtime_items.user_connection_item(connection),
        realtime_items.watch_item(Watch(thread_id, "ada", "n", 1)),
    ]
    return [
        *changed,
        *((None, each) for each in made),
        *((each, None) for each in made),
        *((each, each) for each in made),
    ]


def test_the_streams_filters_let_all_news_through_and_little_else() -> None:
    """What the dispatcher would read, and of other items none."""
    function = deployed(Realtime="on")["DispatchChangesFunction"]["Properties"]
    (source,) = event_sources({"DispatchChangesFunction": function})
    passed = set()
    for before, after in images():
        there = after or before or {}
        kind = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
        found = {name: there[name] for name in ("pk", "sk")}
        change = {"Keys": found} | {
            name: image for name, image in (("OldImage", before), ("NewImage", after)) if image
        }
        record = {"eventName": kind, "dynamodb": change}
        if news_of(record):
            assert source.matches(record), record
        if source.matches(record):
            passed.add(there["sk"]["S"][:2])
    assert passed == {"E#", "X#", "W#", "HE", "C#", "T#"}


def test_a_function_ends_before_readers_give_it_up() -> None:
    """A function's timeout, for any value of the parameter, ends before a reader voids its open position."""
    assert DOCUMENT["Parameters"]["Timeout"]["MaxValue"] * 1000 < DEAD_MS


def test_every_parameter_is_explained_and_used() -> None:
    """Each has a description and a place in `docs/deploying.md`, and some resource refers to it."""
    documented = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    text = PATH.read_text(encoding="utf-8")
    for name, parameter in DOCUMENT["Parameters"].items():
        assert parameter["Description"]
        assert f"`{name}`" in documented, f"docs/deploying.md says nothing of {name}"
        assert f"!Ref {name}" in text or f"${{{name}}}" in text


def test_each_exception_from_checkovs_rules_has_a_reason() -> None:
    """Beside it, in `.checkov.yaml`; and no rule is excepted by a pattern."""
    lines = (ROOT / ".checkov.yaml").read_text(encoding="utf-8").split("skip-check:\n")[1].splitlines()
    for line in lines:
        assert re.fullmatch(r"  - CKV_AWS_\d+  # [A-Z].{20,}\.", line), line


def test_what_dynamodb_deletes_by_itself() -> None:
    """Idempotency items alone have the attribute of the table's time to live, in seconds, a day after their post."""
    ttl = RESOURCES["Table"]["Properties"]["TimeToLiveSpecification"]
    assert ttl["Enabled"] is True
    membership = Membership("ada", "c" * 16, Role.MEMBER, 0)
    idempotency_record = items.idempotency_record_item(
        "c" * 16, "ada", IdempotencyRecord("key", b"", 1, 1, 1_795_459_464)
    )
    others = [
        items.head_item(Head("c" * 16, Kind.PUBLIC, "", "", "ada", 0)),
        items.listing_item(Head("c" * 16, Kind.PUBLIC, "", "", "ada", 0)),
        items.entry_item("c" * 16, Entry(1, 1, 0, b"{}")),
        items.membership_item(membership),
        items.past_membership_item(membership),
    ]
    assert idempotency_record[ttl["AttributeName"]] == {"N": "1795459464"}
    assert not [each for each in others if ttl["AttributeName"] in each]
    assert IDEMPOTENCY_SECONDS == 24 * 3600
