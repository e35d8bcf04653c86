"""Each function may do what its code does, and nothing else: policies of `template.yaml` held against the code."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from local.gateway.routing import Routes
from local.template import load as template
from local.template.intrinsics import Resolver, parse
from shared.bootstrap import compose
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from tests.api import Api, Response
from tests.artifacts.tour import Tour
from tests.cases import case
from tests.reachable import FUNCTIONS, OF_OPERATORS, STORE_METHODS, calls_of
from tests.store_calls import SAMPLES, TABLE, Call, calls_of_method

if TYPE_CHECKING:
    from shared.storage.protocol import Store
    from tests.conftest import FakeClock

ROOT: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
TOKEN: Final = "arn:aws:ssm:us-east-1:123456789012:parameter/token"
CACHE_KEY: Final = "arn:aws:ssm:us-east-1:123456789012:parameter/cache-key"
CONNECTIONS: Final = "arn:aws:execute-api:us-east-1:123456789012:api/v1/{}/@connections/*"
SENDS: Final = {"send": "POST", "disconnect": "DELETE"}
"""What the sender's methods ask of the WebSocket API's stage."""
NAMES: Final = {"Table.Arn": TABLE, "UpstashTokenParameter": "/token", "RealtimeApi": "api"}
RESOLVER: Final = Resolver(NAMES | {"CacheEncryptionKeyParameter": "/cache-key"}, TEMPLATE["Conditions"])
PLAIN: Final = Resolver(NAMES | {"CacheEncryptionKeyParameter": ""}, TEMPLATE["Conditions"])
SEALS: Final = frozenset({"list_channels", "fetch_messages"})
"""Functions that read and write bundles; the health check only asks whether Redis is there."""
LEADING_KEYS: Final = "dynamodb:LeadingKeys"

Statement = dict[str, Any]


def statements_of(function: str, resolver: Resolver = RESOLVER) -> list[Statement]:
    """A function's statements, with its resources' names as this test knows them."""
    name = "".join(word.capitalize() for word in function.split("_")) + "Function"
    policies = TEMPLATE["Resources"][name]["Properties"]["Policies"]
    return [resolver.resolve(each) for policy in policies for each in _list(policy["Statement"])]


def needs_of(function: str) -> set[Call]:
    """What a function's code can come to ask AWS for."""
    calls = calls_of(function)
    needs = {call for method in calls.store for call in calls_of_method(method)}
    needs |= {
        Call("execute-api:ManageConnections", CONNECTIONS.format(SENDS[method]), "")
        for method in calls.sender
    }
    parameters = {TOKEN} if calls.redis else set()
    parameters |= {CACHE_KEY} if function in SEALS else set()
    return needs | {Call("ssm:GetParameter", each, "") for each in parameters}


def findings(statements: list[Statement], needs: set[Call]) -> list[str]:
    """Everything that is wrong with a policy."""
    return [
        *_wildcards(statements),
        *(f"lacks {need}" for need in needs if not any(_allows(each, need) for each in statements)),
        *_unneeded(statements, needs),
        *_too_wide(statements, needs),
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _wildcards(statements: list[Statement]) -> Iterator[str]:
    for each in statements:
        for text in (*_list(each["Action"]), *_list(each["Resource"])):
            # Connections are named by API Gateway; each of its own stage is a function's to write to.
            own = text.removesuffix("/@connections/*") if isinstance(text, str) else "*"
            if "*" in own or "?" in own:
                yield f"wildcard {text}"
        if each["Effect"] != "Allow" or not set(each) <= {"Effect", "Action", "Resource", "Condition"}:
            yield f"a kind of statement that is not understood here: {each}"


def _patterns(statement: Statement) -> list[str]:
    """Partition keys that a statement is about. Any other condition than ours fails here."""
    condition = statement.get("Condition")
    if condition is None:
        return ["*"]
    ((operator, keys),) = condition.items()
    assert (operator, list(keys)) == ("ForAllValues:StringLike", [LEADING_KEYS])
    return _list(keys[LEADING_KEYS])


def _allows(statement: Statement, need: Call) -> bool:
    return (
        need.action in _list(statement["Action"])
        and need.resource in _list(statement["Resource"])
        and all(any(fnmatchcase(key, pattern) for pattern in _patterns(statement)) for key in need.keys)
    )


def _unneeded(statements: list[Statement], needs: set[Call]) -> Iterator[str]:
    for each in statements:
        for action in _list(each["Action"]):
            for resource in _list(each["Resource"]):
                for pattern in _patterns(each):
                    used = [need for need in needs if need[:2] == (action, resource)]
                    if not any(fnmatchcase(need.key, pattern) for need in used):
                        yield f"unused {action} on {resource} for {pattern}"


def _too_wide(statements: list[Statement], needs: set[Call]) -> Iterator[str]:
    """What is not done in channels' and users' partitions alike must say in which."""
    for each in statements:
        for action in _list(each["Action"]):
            mine = (need for need in needs if need[:2] == (action, TABLE))
            allowed = [need for need in mine if _allows(each, need)]
            kinds = {key[:2] for need in allowed for key in need.keys}
            if _patterns(each) == ["*"] and kinds and not kinds >= {"C#", "U#"}:
                yield f"{action} for {kinds} without a condition"


def test_a_policy_is_what_the_code_needs() -> None:
    """No action, resource or partition is missing, unused or a wildcard."""
    for function in FUNCTIONS:
        with case(function):
            assert findings(statements_of(function), needs_of(function)) == []


def test_a_key_that_is_not_asked_for_may_not_be_read() -> None:
    """Without the setting no function may read a parameter but the token's."""
    for function in FUNCTIONS:
        with case(function):
            needs = {need for need in needs_of(function) if need.resource != CACHE_KEY}
            assert findings(statements_of(function, PLAIN), needs) == []


def test_an_action_that_is_missing_is_found() -> None:
    """Each action that is taken from a policy makes the test above fail."""
    for function in FUNCTIONS:
        with case(function):
            for at, statement in enumerate(statements_of(function)):
                for action in _list(statement["Action"]):
                    mutant = statements_of(function)
                    mutant[at]["Action"] = [each for each in _list(statement["Action"]) if each != action]
                    assert any(
                        each.startswith("lacks") and action in each for each in _found(function, mutant)
                    ), action


def test_an_action_that_is_not_needed_is_found() -> None:
    """An action that is added makes it fail."""
    for action in ["dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:BatchWriteItem"]:
        for function in FUNCTIONS:
            with case(action, function):
                mutant = statements_of(function)
                mutant[0]["Action"] = [*_list(mutant[0]["Action"]), action]
                assert f"unused {action}" in "\n".join(_found(function, mutant))


def test_a_wildcard_is_found() -> None:
    """As an action, in one, or as a resource."""
    for function in FUNCTIONS:
        with case(function):
            for part, wildcard in (("Action", "*"), ("Action", "dynamodb:*"), ("Resource", "*")):
                mutant = statements_of(function)
                mutant[0][part] = wildcard
                assert f"wildcard {wildcard}" in _found(function, mutant)


def test_a_condition_that_is_gone_or_wrong_is_found() -> None:
    """A right to a kind of partition that is widened to all, or given for another kind."""
    for function in FUNCTIONS:
        with case(function):
            for at, statement in enumerate(statements_of(function)):
                if _patterns(statement)[0][:2] in {"C#", "U#"}:
                    mutant = statements_of(function)
                    del mutant[at]["Condition"]
                    assert "without a condition" in "\n".join(_found(function, mutant))
                    mutant = statements_of(function)
                    mutant[at]["Condition"]["ForAllValues:StringLike"][LEADING_KEYS] = ["X#*"]
                    assert "lacks" in "\n".join(_found(function, mutant))


def test_a_condition_that_holds_for_a_part_of_a_transaction_alone_is_found() -> None:
    """Where `dynamodb:LeadingKeys` has the keys of all its items, a post would be refused."""
    mutant = statements_of("post_message")
    entries_alone = {"ForAllValues:StringLike": {LEADING_KEYS: ["C#*"]}}
    for each in mutant:
        if "dynamodb:PutItem" in _list(each["Action"]):
            each["Condition"] = entries_alone
    assert any(each.startswith("lacks") and "PutItem" in each for each in _found("post_message", mutant))


def test_a_function_that_lists_may_change_no_membership() -> None:
    """It updates heads and budgets; the right to update users' partitions too would be one to give roles."""
    mutant = statements_of("list_channels")
    for each in mutant:
        if "dynamodb:UpdateItem" in _list(each["Action"]):
            del each["Condition"]
    assert any(each.startswith("dynamodb:UpdateItem for") for each in _found("list_channels", mutant))


def test_policies_name_their_version() -> None:
    """Without one IAM takes them for those of 2008, in which later additions to the language do not exist."""
    for function in FUNCTIONS:
        with case(function):
            name = "".join(word.capitalize() for word in function.split("_")) + "Function"
            for policy in TEMPLATE["Resources"][name]["Properties"]["Policies"]:
                assert list(policy) == ["Version", "Statement"]
                assert policy["Version"] == "2012-10-17"


def _found(function: str, statements: list[Statement]) -> list[str]:
    return findings(copy.deepcopy(statements), needs_of(function))


def test_every_method_of_the_storage_is_known_and_used() -> None:
    """Each has a sample, and some function reaches it, but what operators alone call: the analysis misses none."""
    assert set(SAMPLES) == STORE_METHODS
    assert set().union(*(calls_of(function).store for function in FUNCTIONS)) == STORE_METHODS - OF_OPERATORS


def test_redis_is_reached_by_those_that_read() -> None:
    """No other function may read the token."""
    reaching = {function for function in FUNCTIONS if calls_of(function).redis}
    assert reaching == {"list_channels", "fetch_messages", "check_health"}


class NotingStore:
    """A storage in memory that notes which of its methods are called."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """The storage's own."""
        self.called.add(name)
        return getattr(self._store, name)


def test_nothing_is_called_that_the_analysis_does_not_see(clock: FakeClock) -> None:
    """On a tour through every route each function calls only what its code was found to reach."""
    store = NotingStore()
    settings = Settings(realtime_url="wss://api.example.com/v1")
    api = Api(compose(settings, cast("Store", store), clock.now, clock.sleep))
    routes = Routes(template.load(ROOT / "template.yaml", template.WHOLE).routes)
    unseen = set()

    def call(method: str, path: str, **rest: Any) -> Response:
        store.called.clear()
        response = api(method, path, **rest)
        matched = routes.match(method, path)
        assert matched is not None
        function = matched[0].handler.split(".")[1]
        unseen.update({(function, each) for each in store.called - calls_of(function).store})
        return response

    Tour(call).take()
    assert not unseen
