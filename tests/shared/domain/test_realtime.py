"""Frames of news: what is told of a log, and how it is split."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.realtime import MAX_FRAME_BYTES, MAX_NEWS_BYTES, LogNews, Run, news_frames, runs_of

CHANNEL = "0123456789abcdef"
THREAD = f"{CHANNEL}-00000001"
NUMBERS = st.lists(st.integers(1, 60), unique=True, max_size=40)
SIZES = st.sampled_from([None, 0, 10, 300, 5_000, 33_000])


def held(numbers: list[int], sizes: list[int | None]) -> dict[int, bytes | None]:
    """Each number with a message of one of these sizes, or with none."""
    return {
        number: None if size is None else json.dumps({"n": number, "text": "x" * size}).encode()
        for number, size in zip(numbers, sizes, strict=True)
    }


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[str, dict[int, bytes | None], dict[int, bytes | None]]]:
    """Up to two logs, with positions and changes."""
    found: list[tuple[str, dict[int, bytes | None], dict[int, bytes | None]]] = []
    for log_id in draw(st.sampled_from([[CHANNEL], [CHANNEL, THREAD], [THREAD]])):
        drawn = []
        for _ in range(2):
            numbers = draw(NUMBERS)
            drawn.append(held(numbers, draw(st.lists(SIZES, min_size=len(numbers), max_size=len(numbers)))))
        found.append((log_id, drawn[0], drawn[1]))
    return found


def said(frames: list[bytes], log_id: str, number: str, holds: str) -> tuple[list[int], int, dict[int, Any]]:
    """Of a log: the numbers in runs in the order of the frames, the highest hint, and what the runs hold."""
    covered, hint, found = list[int](), 0, dict[int, Any]()
    for each in frames:
        for part in json.loads(each)["channels"]:
            if part.get("thread_id", part["channel_id"]) != log_id:
                continue
            hint = max(hint, part.get(number, 0))
            for run in part.get(holds, []):
                covered += range(run[f"first_{number}"], run[f"last_{number}"] + 1)
                found |= {body["n"]: body for body in run[holds]}
    return covered, hint, found


@given(logs())
def test_frames_of_news_tell_all_of_it(given: list[tuple[str, dict[int, Any], dict[int, Any]]]) -> None:
    """Within the limit each and in all; numbers in order, once; what no run has, a hint covers."""
    news = [LogNews(log_id, runs_of(messages), runs_of(changes)) for log_id, messages, changes in given]
    frames = news_frames(news)
    assert all(len(each) <= MAX_FRAME_BYTES for each in frames)
    assert sum(map(len, frames)) <= MAX_NEWS_BYTES + 120 * 200
    for log_id, *parts in given:
        for (number, holds), bodies in zip([("seq", "messages"), ("rev", "changes")], parts, strict=True):
            covered, hint, found = said(frames, log_id, number, holds)
            assert covered == sorted(set(covered))
            assert set(covered) <= set(bodies)
            assert all(each <= hint for each in set(bodies) - set(covered))
            assert found == {each: json.loads(bodies[each]) for each in covered if bodies[each] is not None}


@given(NUMBERS)
def test_runs_are_as_long_as_they_can_be(numbers: list[int]) -> None:
    """In order, with all numbers, and a number is missing between any two."""
    runs = runs_of(dict.fromkeys(numbers))
    assert [each for run in runs for each in range(run.first, run.last + 1)] == sorted(numbers)
    assert all(one.last + 1 < other.first for one, other in pairwise(runs))


def test_a_frame_that_fits_is_one() -> None:
    """Voids say that nothing is there: they are within the run, without a body."""
    news = LogNews(THREAD, (Run(5, (b'{"n":5}', None, b'{"n":7}')),), (Run(2, (b'{"rev":2}',)),))
    (frame,) = news_frames([news, LogNews(CHANNEL, (Run(1, (b"{}",)),))])
    assert frame == (
        b'{"v":1,"type":"news","channels":[{"channel_id":"%b","thread_id":"%b","messages":'
        b'[{"first_seq":5,"last_seq":7,"messages":[{"n":5},{"n":7}]}],"changes":'
        b'[{"first_rev":2,"last_rev":2,"changes":[{"rev":2}]}]},'
        b'{"channel_id":"%b","messages":[{"first_seq":1,"last_seq":1,"messages":[{}]}],"changes":[]}]}'
    ) % (CHANNEL.encode(), THREAD.encode(), CHANNEL.encode())


def test_a_message_too_long_for_a_frame_is_told_by_its_position() -> None:
    """And so is its change."""
    long = b'{"text":"%b"}' % (b"x" * MAX_FRAME_BYTES)
    frames = news_frames([LogNews(CHANNEL, (Run(8, (long,)),), (Run(3, (long,)),))])
    hints = [part for each in frames for part in json.loads(each)["channels"]]
    assert hints == [
        {"channel_id": CHANNEL, "seq": 8, "rev": 0},
        {"channel_id": CHANNEL, "seq": 0, "rev": 3},
    ]
