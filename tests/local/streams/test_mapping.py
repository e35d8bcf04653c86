"""A mapping's thread delivers, tells what it gave up, and ends when it is told to."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from local.gateway.invoke import FunctionFailedError
from local.streams.batches import ThrottledError
from local.streams.event_source import EventSource
from local.streams.mapping import StreamMapping, invocation
from local.streams.reader import Reader
from tests.local.probe_project import Project, probe_project
from tests.local.streams.fake_stream import NOW, FakeStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _mapping(
    stream: FakeStream, function: Callable[[dict[str, Any]], Any], log: Callable[[str], None], **settings: Any
) -> StreamMapping:
    reader = Reader(stream, "table", "LATEST", clock=lambda: NOW)
    return StreamMapping(EventSource(function="F", **settings), reader, function, log=log, clock=lambda: NOW)


def test_what_is_given_up_is_told_without_its_contents() -> None:
    """The list has the sequence numbers, a person gets a line; the next record is delivered."""
    stream, lines, delivered = FakeStream(), list[str](), threading.Event()

    def function(event: dict[str, Any]) -> None:
        assert event["Records"][0]["eventID"] != "1"
        delivered.set()

    with _mapping(stream, function, lines.append, batch_size=1, max_retries=0) as mapping:
        stream.write(2)
        assert delivered.wait(10)
    assert [each.sequence_numbers for each in mapping.discarded] == [("1",)]
    (line,) = lines
    assert line.startswith(
        "F: 1 records of the stream were discarded (RetryAttemptsExhausted, invocations: 1)"
    )


def test_an_engine_that_is_gone_is_said_once_and_a_batch_in_trouble_does_not_delay_the_end() -> None:
    """Reading goes on when the engine is back; the pause before a retry ends with the mapping."""
    stream, lines, failed, said = FakeStream(), list[str](), threading.Event(), threading.Event()

    def function(_: dict[str, Any]) -> None:
        failed.set()
        raise RuntimeError

    def log(line: str) -> None:
        lines.append(line)
        said.set()

    with _mapping(stream, function, log):
        stream.crash()
        assert said.wait(10)
        stream.is_up = True
        stream.write()
        assert failed.wait(10)
    assert lines == ["stream: it cannot be read (ConnectionRefusedError); trying again"]


@pytest.mark.stack
def test_a_function_is_called_within_the_concurrency_of_all(tmp_path: Path) -> None:
    """Its result is returned, its failure raised; without a free container it was not invoked."""
    made: Project
    with probe_project(tmp_path) as made, made.gateway(concurrency=1) as gateway:
        echo, crash = (
            next(each for each in gateway._template.functions.values() if each.handler.endswith(name))
            for name in (".echo", ".crash")
        )
        event = {"Records": [], "body": ""}
        assert invocation(gateway, echo)(event)["event"] == event
        with pytest.raises(FunctionFailedError) as failed:
            invocation(gateway, crash)(event)
        assert failed.value.status == HTTPStatus.INTERNAL_SERVER_ERROR
        with gateway._concurrency.one(), pytest.raises(ThrottledError):
            invocation(gateway, echo)(event)
