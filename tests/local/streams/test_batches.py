"""Records reach the function as Lambda would deliver them, or are discarded as Lambda would discard them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.streams.batches import (
    RETRIES_EXHAUSTED,
    TOO_OLD,
    Batches,
    Discarded,
    Record,
    ThrottledError,
    sequence_number,
)
from local.streams.event_source import EventSource
from local.streams.reader import Reader, StreamError
from tests.conftest import FakeClock
from tests.local.streams.fake_stream import NOW, FakeStream, record

Function = Callable[[list[str]], Any]
"""Takes the sequence numbers of a batch; returns the function's result."""


@dataclass
class Delivery:
    """Batches over a function of the test's own, and what came of them."""

    function: Function
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW * 1000))
    invoked: list[list[str]] = field(default_factory=list)
    discarded: list[Discarded] = field(default_factory=list)

    def batches(self, **settings: Any) -> Batches:
        """One shard's."""
        source = EventSource(function="F", **settings)
        return Batches(
            source,
            "shard",
            call=self._call,
            discard=self.discarded.append,
            pause=self.clock.sleep,
            clock=lambda: self.clock.ms / 1000,
        )

    def deliver(self, numbers: Iterable[int], **settings: Any) -> None:
        """Deliver records with these numbers."""
        batches = self.batches(**settings)
        batches.add(map(record, numbers))
        batches.deliver()

    def given_up(self) -> list[tuple[str, tuple[str, ...], int]]:
        """What was discarded."""
        return [(each.condition, each.sequence_numbers, each.invocations) for each in self.discarded]

    def _call(self, event: dict[str, Any]) -> Any:
        numbers = [sequence_number(each) for each in event["Records"]]
        self.invoked.append(numbers)
        return self.function(numbers)


def _failing_on(*poison: str) -> Function:
    def function(numbers: list[str]) -> None:
        if set(poison) & set(numbers):
            raise RuntimeError

    return function


def _reporting(*poison: str) -> Function:
    def function(numbers: list[str]) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": each} for each in poison if each in numbers]}

    return function


def test_a_batch_has_no_more_records_than_its_size_and_no_more_bytes_than_an_event() -> None:
    """What is left over is the next batch."""
    delivery = Delivery(lambda _: None)
    delivery.deliver(range(1, 6), batch_size=2)
    assert delivery.invoked == [["1", "2"], ["3", "4"], ["5"]]
    batches = delivery.batches()
    batches.add(record(number, padding="x" * 2_500_000) for number in range(6, 9))
    batches.deliver()
    assert delivery.invoked[3:] == [["6", "7"], ["8"]]


def test_a_window_gathers_records_until_it_ends_or_the_batch_is_full() -> None:
    """The next window begins when the invocation has ended."""
    delivery = Delivery(lambda _: None)
    batches = delivery.batches(window=2, batch_size=3)
    for number in range(1, 6):
        batches.add([record(number)])
        batches.deliver()
    assert delivery.invoked == [["1", "2", "3"]]
    delivery.clock.sleep(2)
    batches.deliver()
    assert delivery.invoked[1:] == [["4", "5"]]


def test_a_filtered_record_is_passed_over() -> None:
    """It is in no batch, and counts for none."""
    delivery = Delivery(lambda _: None)
    delivery.deliver(range(1, 7), batch_size=3, filters=(lambda each: int(sequence_number(each)) % 2 == 0,))
    assert delivery.invoked == [["2", "4", "6"]]


def test_a_batch_whose_function_fails_is_tried_again_and_then_discarded() -> None:
    """Retries wait longer and longer, and what comes after waits for them."""
    delivery = Delivery(_failing_on("1"))
    delivery.deliver(range(1, 4), batch_size=2, max_retries=2)
    assert delivery.invoked == [["1", "2"]] * 3 + [["3"]]
    assert delivery.clock.slept == [0.1, 0.2]
    assert delivery.given_up() == [(RETRIES_EXHAUSTED, ("1", "2"), 3)]


def test_a_failed_batch_is_bisected_without_using_its_retries() -> None:
    """At the end only the record that fails is discarded."""
    delivery = Delivery(_failing_on("3"))
    delivery.deliver(range(1, 5), bisect=True, max_retries=1)
    assert delivery.invoked == [["1", "2", "3", "4"], ["1", "2"], ["3", "4"], ["3"], ["3"], ["4"]]
    assert delivery.given_up() == [(RETRIES_EXHAUSTED, ("3",), 2)]


def test_the_lowest_reported_record_is_the_checkpoint() -> None:
    """All from it on is invoked again; with bisecting, getting that far uses no retry."""
    for bisect in (False, True):
        delivery = Delivery(_reporting("4", "3"))
        delivery.deliver(range(1, 6), reports_failures=True, max_retries=1, bisect=bisect)
        assert delivery.invoked[:2] == [["1", "2", "3", "4", "5"], ["3", "4", "5"]]
        assert delivery.given_up() == [(RETRIES_EXHAUSTED, ("3", "4", "5"), 2)]
        assert len(delivery.invoked) == (3 if bisect else 2)


@pytest.mark.parametrize(
    "result", [None, "", {}, {"batchItemFailures": None}, {"batchItemFailures": []}, {"ok": 1}]
)
def test_these_results_are_a_success(result: Any) -> None:
    """An empty or null response, or an empty or null list."""
    delivery = Delivery(lambda _: result)
    delivery.deliver([1, 2], reports_failures=True)
    assert (delivery.invoked, delivery.discarded) == ([["1", "2"]], [])


@pytest.mark.parametrize(
    "result",
    [
        *({"batchItemFailures": [each]} for each in ({}, {"itemIdentifier": ""}, {"itemIdentifier": None})),
        *({"batchItemFailures": [each]} for each in ({"itemIdentifier": "9"}, {"id": "2"}, "2")),
        {"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "9"}]},
        *({"batchItemFailures": "2"}, "2", [], 2),
    ],
)
def test_these_results_fail_the_whole_batch(result: Any) -> None:
    """An identifier that is empty, missing, misnamed or of no record; a result of another form. Unless unread."""
    delivery = Delivery(lambda _: result)
    delivery.deliver([1, 2], reports_failures=True, max_retries=0)
    assert delivery.given_up() == [(RETRIES_EXHAUSTED, ("1", "2"), 1)]
    delivery.deliver([1, 2], max_retries=0)
    assert len(delivery.discarded) == 1


def test_records_that_are_too_old_are_discarded() -> None:
    """They are not given to the function; a batch that is tried again and again ages too."""
    delivery = Delivery(_failing_on("2"))
    batches = delivery.batches(max_age=60)
    batches.add([record(1, created=NOW - 61), record(2)])
    batches.deliver()
    assert [(each.condition, each.sequence_numbers) for each in delivery.discarded] == [
        (TOO_OLD, ("1",)),
        (TOO_OLD, ("2",)),
    ]
    assert delivery.discarded[1].invocations == len(delivery.invoked) > 5


def test_without_a_free_container_records_wait() -> None:
    """No retry is used."""
    refusals = iter([True] * 5 + [False])

    def function(_: list[str]) -> None:
        if next(refusals):
            raise ThrottledError

    delivery = Delivery(function)
    delivery.deliver([1], max_retries=0)
    assert (len(delivery.invoked), delivery.discarded) == (6, [])


@dataclass
class Unreliable:
    """A function that handles records up to a poisonous one, which it reports, or for which it fails."""

    poison: set[str]
    reports: bool
    troubles: list[str]
    handled: list[str] = field(default_factory=list)

    def __call__(self, numbers: list[str]) -> Any:
        """Handle a batch."""
        trouble = self.troubles.pop() if self.troubles else ""
        if trouble == "throttled":
            raise ThrottledError
        for number in numbers:
            if number in self.poison or (trouble == "fails" and number == numbers[-1]):
                if not self.reports:
                    raise RuntimeError
                return {"batchItemFailures": [{"itemIdentifier": number}]}
            self.handled.append(number)
        return None


PLAIN = {"batch_size": 3, "bisect": False, "reports_failures": False, "max_retries": 0}


@example(events=["write 5", "split", "write"], poison=set(), troubles=[], settings=PLAIN)
@example(events=["write 5", "split", "write", "expire", "read"], poison=set(), troubles=[], settings=PLAIN)
@given(
    events=st.lists(
        st.sampled_from(["write", "write 5", "read", "split", "expire", "crash", "replay"]), max_size=25
    ),
    poison=st.sets(st.integers(1, 40).map(str), max_size=5),
    troubles=st.lists(st.sampled_from(["throttled", "fails", ""]), max_size=10),
    settings=st.fixed_dictionaries(
        {
            "batch_size": st.integers(1, 7),
            "bisect": st.booleans(),
            "reports_failures": st.booleans(),
            "max_retries": st.integers(0, 4),
        }
    ),
)
def test_every_record_is_handled_or_discarded_in_the_order_of_its_shard(
    events: list[str], poison: set[str], troubles: list[str], settings: dict[str, Any]
) -> None:
    """Whatever fails: the function, an iterator, the engine; and no record waits for a later one."""
    stream = FakeStream(page=4)
    function = Unreliable(poison, settings["reports_failures"], list(troubles))
    delivery = Delivery(function)
    reader = Reader(stream, "table", "LATEST", incarnation=lambda: stream.label, clock=lambda: NOW)
    shards: dict[str, Batches] = {}

    def read() -> None:
        try:
            for shard_id, records in reader.pages():
                batches = shards.setdefault(shard_id, delivery.batches(**settings))
                batches.add(records)
                batches.deliver()
        except StreamError:
            stream.is_up = True

    actions: dict[str, Callable[[], None]] = {
        "write": stream.write,
        "write 5": lambda: stream.write(5),
        "read": read,
        "split": stream.split,
        "expire": stream.expire_iterators,
        "crash": stream.crash,
        "replay": stream.restart_as_ministack,
    }
    stream.write(2)
    reader.open()
    for event in events:
        actions[event]()
    stream.is_up = True
    for _ in range(40):
        read()

    # After ministack was restarted, its records have other numbers: only they can be asked for.
    first = max(3, stream.first)
    given_up = [number for each in delivery.discarded for number in each.sequence_numbers]
    expected = [str(number) for number in range(first, stream.written + 1)]
    assert set(expected) <= set(function.handled) | set(given_up)
    once = [number for number in dict.fromkeys(function.handled) if int(number) >= first]
    assert once == sorted(once, key=int)
    assert len(given_up) == len(set(given_up))
    if settings["bisect"] and not settings["reports_failures"] and not troubles:
        assert set(given_up) <= poison
        assert not set(function.handled) & poison


def test_a_record_has_the_form_of_lambdas_events() -> None:
    """The stream's record, with the name of the stream."""
    stream = FakeStream()
    reader = Reader(stream, "table", "TRIM_HORIZON", clock=lambda: NOW)
    stream.write()
    reader.open()
    ((_, records),) = list(reader.pages())
    expected: list[Record] = [{**record(1), "eventSourceARN": "arn/1"}]
    assert records == expected
