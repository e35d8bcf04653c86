"""How plain a request's way is: the files of ours that it passes, and the moves between them.

``make request-path ARGS=--moves`` prints them. Whoever adds a stop on the way raises a limit here, in plain sight;
whoever takes one away lowers it.
"""

from __future__ import annotations

from typing import Final

import pytest

from tools.request_path import AGAIN, FIRST, LIST, POST, REQUESTS, Way, way_of

LIMITS: Final = {POST: (26, 170), FIRST: (32, 466), AGAIN: (29, 112), LIST: (33, 184)}
"""Files and moves. A first page moves for each of its fifty entries, too."""


def test_every_request_has_a_limit() -> None:
    """Each request whose way is printed is held to one."""
    assert set(LIMITS) == set(REQUESTS)


@pytest.mark.parametrize("request_name", LIMITS)
def test_a_request_keeps_to_a_plain_way(request_name: str) -> None:
    """It passes no more files, and moves between them no more often, than its limits say."""
    files, moves = LIMITS[request_name]
    way = way_of(request_name)
    assert len(way.files) <= files, way.files
    assert len(way.moves) <= moves


def test_a_way_is_the_same_each_time() -> None:
    """What is counted depends on nothing but the code: no clock, no network, no request before it."""
    assert way_of(AGAIN) == way_of(AGAIN)


def test_a_page_from_memory_reads_no_log() -> None:
    """Its way goes by the look, which vouches for the reader and the end, and by memory alone."""
    way: Way = way_of(AGAIN)
    assert "shared/cache/pages.py" in way.files
    assert "shared/storage/log_reader.py" not in way.files
