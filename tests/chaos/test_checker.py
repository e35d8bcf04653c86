"""The onlooker finds what is wrong, and nothing where all is right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.checker import Checker


def message(seq: int, text: str = "") -> dict[str, Any]:
    """As it is acknowledged."""
    return {"seq": seq, "text": text or f"text {seq}"}


def page(first: int, last: int, *messages: dict[str, Any]) -> dict[str, Any]:
    """As the response has it."""
    return {"first_seq": first, "last_seq": last, "messages": list(messages)}


@pytest.fixture
def checker() -> Checker:
    """Two messages were acknowledged, at 1 and 3."""
    made = Checker()
    for seq in (1, 3):
        made.sends("c", f"text {seq}")
        made.posted("c", f"text {seq}", message(seq))
    return made


def test_what_is_right_is_let_be(checker: Checker) -> None:
    """Correct pages, a void, a stale page and a replay are no violations."""
    checker.posted("c", "text 3", message(3))
    assert checker.end("c") == 3
    checker.page("c", 0, 50, page(1, 3, message(1), message(3)), 3)
    checker.page("c", 1, 1, page(2, 2), 3)
    checker.stale_page("c", page(1, 1, message(1)))
    checker.audit("c", [message(1), message(3)])
    assert checker.violations == {}


@pytest.mark.parametrize(
    ("after", "said", "kind"),
    [
        (0, page(1, 3, message(1)), "a position changed after it was seen"),
        (0, page(1, 3, message(1), message(3, "other")), "a position changed after it was seen"),
        (0, page(1, 2, message(1)), "a page ends before what was acknowledged"),
        (1, page(1, 3, message(1), message(3)), "a page covers another range"),
        (0, page(1, 3, message(3), message(1)), "a page is not in order"),
        (0, page(1, 3, message(1), message(3), message(4)), "a page shows what it does not cover"),
    ],
)
def test_a_wrong_page_is_found(checker: Checker, after: int, said: dict[str, Any], kind: str) -> None:
    """Each kind of wrong page is counted under its own name."""
    checker.page("c", after, 50, said, 3)
    assert checker.violations[kind] == 1
    assert kind in checker.notes[0]


@pytest.mark.parametrize(
    ("standing", "kind"),
    [
        ([message(1)], "an acknowledged message is lost"),
        ([message(1), message(2, "text 1"), message(3)], "a message stands twice"),
        ([message(1), message(2), message(3)], "a message stands that nobody sent"),
    ],
)
def test_a_wrong_end_is_found(checker: Checker, standing: list[dict[str, Any]], kind: str) -> None:
    """A lost, doubled or invented message in the final log is counted under its own name."""
    checker.audit("c", standing)
    assert checker.violations == {kind: 1}


def test_wrong_acknowledgements_are_found(checker: Checker) -> None:
    """Two messages at one position, or a stored text that differs from the sent one, are violations."""
    checker.posted("c", "text 4", message(3, "text 4"))
    checker.posted("c", "sent", message(5, "stored"))
    assert checker.violations["two messages acknowledged at one position"] == 1
    assert checker.violations["another text was acknowledged"] == 1
