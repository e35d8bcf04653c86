"""In any order of steps readers see one settled log, which has each acknowledged message once."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from shared.domain.model import Entry
from tests.contract.samples import head_of
from tests.shared.use_cases.course import USERS, Course, texts_of


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_readers_and_writers_agree_on_one_log(seed: int, cached: bool) -> None:  # noqa: FBT001 - a case
    """Every reader's pages are a prefix of the log; every acknowledged post is in it once, as acknowledged."""
    course = Course(seed, cached=cached)
    readers = course.run(writers=4, posts=6, readers=3)
    log = course.settle()
    assert [each.seq for each in log] == [each.messages for each in log] == list(range(1, len(log) + 1))
    for reader in readers:
        for _ in log:
            reader.page()
        assert reader.read == _messages(log)
    _assert_acknowledged(course, log)
    _assert_preview(course, log)


def test_courses_meet_what_they_are_meant_to() -> None:
    """Voids, replays, retries after a lost number, failures that stay: else the courses would show little."""
    seen: Counter[str] = Counter()
    for seed in range(6):
        course = Course(seed, cached=False)
        course.run(writers=4, posts=6, readers=3)
        log = course.settle()
        seen["thousands of steps"] += course.turns.steps // 1000
        responses = [each for posts in course.acknowledged.values() for each in posts]
        seen["voids"] += sum(each.body is None for each in log)
        seen["replays"] += sum(each.replayed for each in responses)
        seen["posted"] += sum(not each.replayed for each in responses)
        seen["lost"] += 24 - len(course.acknowledged)
    assert {name for name, count in seen.items() if count > 3} == {
        "voids",
        "replays",
        "posted",
        "lost",
        "thousands of steps",
    }


def test_a_course_can_be_gone_again() -> None:
    """A seed always gives the same one."""
    logs = []
    for _ in range(2):
        course = Course(7, cached=True)
        course.run(writers=3, posts=4, readers=2)
        logs.append(
            [(each.seq, each.at, each.body and json.loads(each.body)["text"]) for each in course.settle()]
        )
    assert logs[0] == logs[1]


def _messages(log: list[Entry]) -> list[bytes]:
    return [json.dumps(json.loads(each.body)).encode() for each in log if each.body is not None]


def _assert_acknowledged(course: Course, log: list[Entry]) -> None:
    standing = [each.body for each in log if each.body is not None]
    texts = Counter(json.loads(body)["text"] for body in standing)
    assert set(texts.values()) <= {1}
    for name, responses in course.acknowledged.items():
        bodies = responses[0].bodies
        assert [json.loads(body)["text"] for body in bodies] == texts_of(name)
        assert all(each.bodies == bodies for each in responses)
        assert [each.replayed for each in responses].count(False) <= 1
        start = standing.index(bodies[0])
        assert standing[start : start + len(bodies)] == bodies
        seqs = [json.loads(body)["seq"] for body in bodies]
        assert seqs == list(range(seqs[0], seqs[0] + len(bodies)))


def _assert_preview(course: Course, log: list[Entry]) -> None:
    last = head_of(course.store, course.channel).last
    if last is not None:
        standing = {each.seq: json.loads(each.body) for each in log if each.body is not None}
        assert standing[last.seq]["text"] == last.text
        assert last.sender in USERS
