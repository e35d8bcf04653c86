"""Acknowledged messages are compared with those read back, and every kind of difference is distinguished."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import TypeAdapter

from local.demo.conversations import Turn
from local.demo.replay import FAULTS, ReadBack, Sent, channel_name, channel_topic, compare
from shared.web.channel_schemas import Topic


def _message(number: int, seq: int, **differently: Any) -> dict[str, Any]:
    made = {"client_message_id": f"k-{number}", "seq": seq, "sender": "ada", "text": f"text {number}"}
    return made | differently


SENT = [Sent(f"k-{n}", n, Turn("ada", f"text {n}")) for n in (1, 2, 3)]
THERE = [_message(n, n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("messages", "faults"),
    [
        (THERE, {}),
        (THERE[:2], {"lost": 1}),
        ([*THERE, _message(3, 4)], {"doubled": 1, "changed": 1}),
        ([THERE[1], THERE[0], THERE[2]], {"out of order": 3}),
        ([*THERE[:2], _message(3, 3, text="other")], {"changed": 1}),
        ([*THERE[:2], _message(3, 3, sender="grace")], {"changed": 1}),
        ([*THERE, _message(9, 4)], {"unknown": 1}),
    ],
)
def test_each_kind_of_fault_is_noticed(messages: list[dict[str, Any]], faults: dict[str, int]) -> None:
    """Lost, duplicated, misplaced, changed and unknown messages are distinguished."""
    found = compare(SENT, ReadBack(messages, voids=0, gaps=0))
    assert +found == Counter(faults)
    assert set(found) == set(FAULTS)


@pytest.mark.parametrize("name", ["", "\x00\x1f", "x" * 500, "🐦" * 80, "a\nb", "\ud800"])
def test_any_name_becomes_a_channel_name(name: str) -> None:
    """At most 80 characters and 160 bytes, no refused characters, never blank."""
    made = channel_name(name)
    assert made.strip()
    assert len(made) <= 80
    assert len(made.encode()) <= 160
    assert made.isprintable()


@pytest.mark.parametrize(
    "topic", ["", "\n", " \u00a0", "\u200b", "\u202e", "x" * 500, "🐦" * 250, "a\nb", "\ud800", "to\u2028day"]
)
def test_any_topic_becomes_one_that_the_api_takes(topic: str) -> None:
    """A blank topic becomes none: the demo must not fail because of it."""
    made = channel_topic(topic)
    assert TypeAdapter(Topic).validate_python(made) == made
    assert made == "" or made.strip()
