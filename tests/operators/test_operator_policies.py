"""The policies of operators' tools in the runbook match the code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.reachable import STORE_METHODS, STORES, Calls, _reached
from tests.sources import tree_of
from tests.store_calls import FOR_ANOTHER, TABLE, Call, calls_of_method
from tests.test_policies import findings

if TYPE_CHECKING:
    from tests.test_policies import Statement

ROOT: Final = Path(__file__).resolve().parents[2]
NAMED: Final = "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME"
OF_EXPORTS: Final = frozenset({"settled", "channels_of", "changes_of", "all_members"})
"""The functions of `operators/reading.py` that exports use."""


def policies() -> list[list[Statement]]:
    """The runbook's policies, exports' first."""
    text = (ROOT / "docs/operations.md").read_text().replace(NAMED, TABLE)
    return [json.loads(block)["Statement"] for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def methods_of(name: str, only: frozenset[str] | None = None) -> set[str]:
    """Methods of the store that a file of `operators/`, or some of its functions, calls."""
    tree = tree_of(ROOT / "operators" / name)
    parts: list[ast.AST] = [tree]
    if only:
        parts = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name in only]
        assert len(parts) == len(only)
    nodes = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if node.attr in STORE_METHODS and receiver(node.value) in STORES}


def receiver(node: ast.AST) -> str:
    """The last name of the object that a method is called on."""
    return str(getattr(node, "attr", None) or getattr(node, "id", ""))


def needs(methods: set[str]) -> set[Call]:
    """DynamoDB operations of these methods, without conditions on a member's own role."""
    return {call for method in methods for call in calls_of_method(method, for_another=False)}


def of_exports() -> set[Call]:
    """The operations of exports."""
    return needs(methods_of("exports.py") | methods_of("reading.py", OF_EXPORTS))


def of_erasure_methods() -> set[str]:
    """The methods of the store that an erasure calls, including those that repair previews."""
    calls = Calls()
    list(_reached("shared.storage.log_reader", "repair_preview", calls))
    assert "correct_preview" in calls.store
    return methods_of("erase_user.py") | methods_of("reading.py") | calls.store


def of_erasure() -> set[Call]:
    """The operations of an erasure."""
    return needs(of_erasure_methods())


def test_the_policy_of_exports_is_what_they_need() -> None:
    """Nothing is missing, nothing is superfluous, and nothing writes."""
    exports, _ = policies()
    assert findings(exports, of_exports()) == []
    assert not [each for each in of_exports() if re.search("Put|Update|Delete|Write", each.action)]


def test_the_policy_of_erasure_is_what_it_needs() -> None:
    """Nothing is missing or superfluous; in a channel's partition only reactions, bans, watches are put or deleted."""
    _, erasure = policies()
    assert findings(erasure, of_erasure()) == []
    others = needs(of_erasure_methods() - {"forget_reactions", "unban", "end_watches", "close_connection"})
    changes = {each for each in others if re.search("Put|Delete", each.action)}
    assert not [each for each in changes if each.key.startswith("C#")]


def test_operators_act_by_no_members_right() -> None:
    """Operators' tools never pass ``by``, as their policy does not allow its condition check."""
    tools = [tree_of(path) for path in sorted((ROOT / "operators").glob("*.py"))]
    calls = [node for tree in tools for node in ast.walk(tree) if isinstance(node, ast.Call)]
    changes = [each for each in calls if getattr(each.func, "attr", None) in FOR_ANOTHER]
    assert changes
    own = {"add_member": 1, "change_role": 2, "remove_member": 1, "update_channel": 3, "archive_channel": 2}
    own["unban"] = 2
    for each in changes:
        assert isinstance(each.func, ast.Attribute)
        assert len(each.args) == own[each.func.attr]
        assert not [keyword for keyword in each.keywords if keyword.arg == "by"]


@pytest.mark.parametrize("at", [0, 1])
def test_a_policy_that_lacks_something_is_found(at: int) -> None:
    """Each action that is removed makes the tests above fail."""
    wanted: Any = (of_exports, of_erasure)[at]()
    for number in range(len(policies()[at])):
        short = policies()[at]
        del short[number]
        assert any(each.startswith("lacks") for each in findings(short, wanted))
