"""Limits for the files that a request executes and the moves between them.

``make request-path ARGS=--moves`` prints them. A change that adds a file or a move has to raise a limit here; one that
removes some lowers it.
"""

from __future__ import annotations

from typing import Final

import pytest

from tools.request_path import AGAIN, FIRST, LIST, POST, REQUESTS, RequestPath, path_of

LIMITS: Final = {POST: (28, 188), FIRST: (28, 420), AGAIN: (26, 112), LIST: (29, 204)}
"""Files and moves. A first page has moves for each of its fifty entries."""


def test_every_request_has_a_limit() -> None:
    """Each request that is counted has a limit."""
    assert set(LIMITS) == set(REQUESTS)


@pytest.mark.parametrize("request_name", LIMITS)
def test_a_request_keeps_to_its_limits(request_name: str) -> None:
    """The files and moves do not exceed the limits."""
    files, moves = LIMITS[request_name]
    path = path_of(request_name)
    assert len(path.files) <= files, path.files
    assert len(path.moves) <= moves


def test_a_path_is_the_same_each_time() -> None:
    """The counts depend on the code only: not on a clock, the network or earlier requests."""
    assert path_of(AGAIN) == path_of(AGAIN)


def test_a_page_from_memory_reads_no_log() -> None:
    """It reads the channel state and memory only."""
    path: RequestPath = path_of(AGAIN)
    assert "shared/cache/pages.py" in path.files
    assert "shared/storage/log_reader.py" not in path.files
