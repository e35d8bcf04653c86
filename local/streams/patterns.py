"""Filter patterns of event source mappings, by the rules that AWS documents.

The operators are those of "Filter rule syntax" (Lambda's Developer Guide, "Control which events Lambda sends to your
function"); what the table there does not explain follows EventBridge's event patterns, as the guide says. A pattern
with anything else is refused, so that no record is filtered here otherwise than on AWS.
"""

import json
from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt
from typing import Any, Final

Matches = Callable[[Any], bool]

MAX_LENGTH: Final = 4096
"""Characters of a pattern (API reference, `Filter`)."""

_ABSENT: Final = object()
_COMPARE: Final = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


def compile_pattern(text: str) -> Matches:
    """Return a function that tells whether a record matches the pattern, which is JSON.

    Raises:
        ValueError: the pattern is invalid, or uses what is not supported here.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a filter pattern has at most {MAX_LENGTH} characters")
    pattern = json.loads(text)
    if not isinstance(pattern, dict):
        raise ValueError(f"a filter pattern is a JSON object, not {text}")  # noqa: TRY004  # a value, not a type
    return _object(pattern)


def _object(pattern: Mapping[str, Any]) -> Matches:
    """All fields must match; a field that the pattern does not name is ignored."""
    if not pattern:
        raise ValueError("a filter pattern needs a field")
    tests = [_either(value) if name == "$or" else _field(name, value) for name, value in pattern.items()]
    return lambda found: all(test(found) for test in tests)


def _either(patterns: Any) -> Matches:  # noqa: ANN401  # JSON
    if not isinstance(patterns, list) or not patterns or not all(isinstance(each, dict) for each in patterns):
        raise ValueError("$or needs a list of patterns")
    tests = [_object(each) for each in patterns]
    return lambda found: any(test(found) for test in tests)


def _field(name: str, expected: Any) -> Matches:  # noqa: ANN401  # JSON
    if isinstance(expected, dict):
        inner = _object(expected)
        return lambda found: any(inner(each) for each in _values(found, name))
    if not isinstance(expected, list) or not expected:
        raise ValueError(f"{name} needs a list of rules, or an object")
    rules = [_rule(name, each) for each in expected]

    def matches(found: Any) -> bool:  # noqa: ANN401  # JSON
        # Only leaves are compared: of an object nothing "exists" here, and an array matches by any element.
        leaves = [_ABSENT if isinstance(each, dict) else each for each in _values(found, name)]
        return any(rule(leaf) for rule in rules for leaf in leaves)

    return matches


def _values(found: Any, name: str) -> list[Any]:  # noqa: ANN401  # JSON
    value = found.get(name, _ABSENT) if isinstance(found, dict) else _ABSENT
    return value or [_ABSENT] if isinstance(value, list) else [value]


def _rule(name: str, rule: Any) -> Matches:  # noqa: ANN401  # JSON
    if _is_literal(rule):
        return lambda leaf: _same(leaf, rule)
    operator, argument = next(iter(rule.items())) if isinstance(rule, dict) and len(rule) == 1 else ("", None)
    match operator:
        case "prefix" | "suffix" | "equals-ignore-case" if isinstance(argument, str):
            return _text_rule(operator, argument)
        case "exists" if isinstance(argument, bool):
            return lambda leaf: (leaf is not _ABSENT) == argument
        case "anything-but":
            excluded = argument if isinstance(argument, list) else [argument]
            if excluded and all(isinstance(each, str | int) and _is_literal(each) for each in excluded):
                return lambda leaf: leaf is not _ABSENT and not any(_same(leaf, each) for each in excluded)
        case "numeric" if name != "N":
            return _numeric_rule(argument)
    # `numeric` on `N`: the records hold numbers as text, and what Lambda makes of that is not documented.
    raise ValueError(f"{name}: the rule {json.dumps(rule)} is not supported")


def _text_rule(operator: str, text: str) -> Matches:
    if operator == "prefix":
        return lambda leaf: isinstance(leaf, str) and leaf.startswith(text)
    if operator == "suffix":
        return lambda leaf: isinstance(leaf, str) and leaf.endswith(text)
    return lambda leaf: isinstance(leaf, str) and leaf.lower() == text.lower()


def _numeric_rule(argument: Any) -> Matches:  # noqa: ANN401  # JSON
    pairs = list(zip(argument[::2], argument[1::2], strict=False)) if isinstance(argument, list) else []
    is_whole = bool(pairs) and len(argument) == 2 * len(pairs)
    if not is_whole or not all(operator in _COMPARE and _is_number(value) for operator, value in pairs):
        raise ValueError(f"numeric needs operators and numbers in turn, not {json.dumps(argument)}")
    return lambda leaf: _is_number(leaf) and all(_COMPARE[operator](leaf, value) for operator, value in pairs)


def _is_literal(rule: Any) -> bool:  # noqa: ANN401  # JSON
    # AWS compares numbers as they are written, which is known of whole ones only: 300, 300.0 and 3e2 differ.
    return rule is None or isinstance(rule, str | bool | int)


def _same(leaf: Any, expected: Any) -> bool:  # noqa: ANN401  # JSON
    return type(leaf) is type(expected) and bool(leaf == expected)


def _is_number(value: Any) -> bool:  # noqa: ANN401  # JSON
    return isinstance(value, int | float) and not isinstance(value, bool)
