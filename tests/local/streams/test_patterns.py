"""Filter patterns decide as AWS documents, and what is not understood is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.streams.patterns import compile_pattern

RECORD: dict[str, Any] = {
    "eventName": "INSERT",
    "size": 20,
    "dynamodb": {
        "Keys": {"pk": {"S": "C#1"}, "sk": {"S": "E#000000000001"}},
        "NewImage": {
            "seq": {"N": "1"},
            "text": {"S": ""},
            "gone": {"NULL": True},
            "tags": {"SS": ["a", "b"]},
        },
        "nothing": None,
    },
}


def _image(**rules: Any) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": {name: dict([rule]) for name, rule in rules.items()}}}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["MODIFY", "REMOVE"]}, False),
        ({"eventName": ["insert"]}, False),
        ({"eventName": [{"equals-ignore-case": "insert"}]}, True),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "X#"}, {"prefix": "E#"}]}}}}, True),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "W#"}]}}}}, False),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"suffix": "01"}]}}}}, True),
        ({"eventName": ["MODIFY"], "dynamodb": {"Keys": {"pk": {"S": ["C#1"]}}}}, False),
        (_image(seq=("N", ["1"])), True),
        (_image(seq=("N", [1])), False),
        (_image(text=("S", [""])), True),
        (_image(tags=("SS", ["b"])), True),
        ({"dynamodb": {"nothing": [None]}}, True),
        ({"size": [20]}, True),
        ({"size": [{"numeric": [">", 10, "<=", 20]}]}, True),
        ({"size": [{"numeric": ["=", 10]}]}, False),
        ({"eventName": [{"numeric": ["=", 10]}]}, False),
        (_image(seq=("N", [{"exists": True}])), True),
        (_image(seq=("S", [{"exists": True}])), False),
        (_image(other=("S", [{"exists": False}])), True),
        ({"dynamodb": {"NewImage": [{"exists": True}]}}, False),
        ({"eventName": [{"anything-but": ["MODIFY", "REMOVE"]}]}, True),
        ({"eventName": [{"anything-but": "INSERT"}]}, False),
        (_image(other=("S", [{"anything-but": ["x"]}])), False),
        ({"$or": [{"eventName": ["REMOVE"]}, {"size": [20]}]}, True),
        ({"eventName": ["INSERT"], "$or": [{"size": [1]}, {"eventName": ["REMOVE"]}]}, False),
    ],
)
def test_a_pattern_decides_as_documented(pattern: dict[str, Any], expected: bool) -> None:  # noqa: FBT001  # a case
    """Fields are joined by and, rules of a field by or; only leaves are compared."""
    assert compile_pattern(json.dumps(pattern))(RECORD) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        *("{", "[]", "{}", '{"a": []}', '{"a": "b"}', '{"a": {}}', '{"a": [["b"]]}', '{"a": [1.5]}'),
        *('{"$or": []}', '{"$or": [1]}', '{"a": [{"prefix": 1}]}', '{"a": [{"wildcard": "*"}]}'),
        *('{"a": [{"prefix": "b", "suffix": "c"}]}', '{"a": [{"anything-but": {"prefix": "b"}}]}'),
        *('{"a": [{"numeric": [">"]}]}', '{"a": [{"numeric": ["!", 1]}]}', '{"N": [{"numeric": [">", 1]}]}'),
        '{"a": ["%s"]}' % ("x" * 4096),
    ],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    """No record is filtered otherwise than on AWS without a word."""
    with pytest.raises(ValueError):  # noqa: PT011  # json's own error among them
        compile_pattern(pattern)
