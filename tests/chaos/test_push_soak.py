"""A soak of push of a moment."""

from __future__ import annotations

import pytest

from tests.chaos.test_soak import printed


@pytest.mark.stack
def test_a_tiny_soak_of_push() -> None:
    """After faults every client shows what REST gives; no watch is left but where no function knew of the end."""
    found = printed("tests.chaos.push_soak")
    for name in ("differences", "unanswered", "overheard", "crashes", "failed_writes", "open_at_the_end"):
        assert found[name] == 0, (name, found["notes"], found["clients"])
    for name in ("watches_unexplained", "without_an_end", "watches_heeded_after_their_end"):
        assert found[name] == 0, name
    assert found["compared"] > 0
    assert found["engine_killed"] == 1
    assert found["struck"]
    assert found["samples"] > 2
