"""What `template.yaml` says, beyond policies (`test_policies.py`) and what operators see (`test_observability.py`)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from local.template import load as template
from local.template.intrinsics import Resolver, parse
from shared.domain.model import IDEMPOTENCY_SECONDS, Entry, Head, IdempotencyRecord, Kind, Membership, Role
from shared.settings import Settings
from shared.storage import items
from shared.storage.log_reader import DEAD_MS

ROOT: Final = Path(__file__).resolve().parent.parent
PATH: Final = ROOT / "template.yaml"
DOCUMENT: Final = parse(PATH.read_text(encoding="utf-8"))
RESOURCES: Final[dict[str, Any]] = DOCUMENT["Resources"]
FUNCTIONS: Final = [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"]
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
        overrides = {"Table": "chat", "UpstashRedisRestUrl": url}
        loaded = template.load(PATH, overrides)
        for name in FUNCTIONS:
            assert Settings.from_env(loaded.environment(name)).upstash_url == url


def test_access_logs_are_json_and_name_nobody() -> None:
    """One object a line, of API Gateway's variables alone: no query, no claim, no header."""
    line = json.loads(DOCUMENT["Globals"]["HttpApi"]["AccessLogSettings"]["Format"])
    assert all(each.startswith("$context.") for each in line.values())
    assert not [each for each in line.values() if "claims" in each or "path" in each.lower()]


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
