"""A mapping's settings are those of the template; what is not imitated is refused."""

from __future__ import annotations

from typing import Any

import pytest

from local.streams.event_source import RETENTION_SECONDS, EventSource, event_sources
from tests.local.streams.fake_stream import record


def _read(**settings: Any) -> list[EventSource]:
    properties = {"Stream": "arn", "StartingPosition": "LATEST", **settings}
    stream = {"Type": "DynamoDB", "Properties": properties}
    other = {"Type": "HttpApi", "Properties": {"Path": "/"}}
    return list(event_sources({"Other": {}, "Dispatch": {"Events": {"Get": other, "Stream": stream}}}))


def test_defaults_are_those_of_lambda() -> None:
    """Without a limit a record is retried until it expires."""
    assert _read() == [EventSource(function="Dispatch")]
    (whole,) = _read(MaximumRetryAttempts=-1, MaximumRecordAgeInSeconds=-1)
    assert (whole.max_retries, whole.max_age, whole.batch_size) == (None, RETENTION_SECONDS, 100)


def test_every_setting_is_read() -> None:
    """Each has its name in the template; a disabled mapping is none."""
    (read,) = _read(
        BatchSize=5,
        MaximumBatchingWindowInSeconds=1,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        MaximumRetryAttempts=3,
        MaximumRecordAgeInSeconds=300,
        FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["REMOVE"]}'}, {"Pattern": '{"x": [1]}'}]},
        DestinationConfig={"OnFailure": {"Type": "SQS", "Destination": "arn"}},
    )
    assert (read.batch_size, read.window, read.max_retries, read.max_age) == (5, 1, 3, 300)
    assert read.bisect
    assert read.reports_failures
    assert read.has_destination
    assert [read.matches(each) for each in (record(1), record(1, eventName="REMOVE"), record(1, x=1))] == [
        False,
        True,
        True,
    ]
    assert _read(Enabled=False) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"StartingPosition": "AT_TIMESTAMP"},
        {"ParallelizationFactor": 2},
        {"BatchSize": 0},
        {"MaximumBatchingWindowInSeconds": 301},
        {"MaximumRetryAttempts": -2},
        {"MaximumRecordAgeInSeconds": 59},
        {"FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}] * 6}},
        {"FilterCriteria": {"Filters": [{"Pattern": "no JSON"}]}},
    ],
)
def test_a_setting_that_is_invalid_or_not_imitated_is_refused(settings: dict[str, Any]) -> None:
    """The local stack does not start, rather than behave otherwise than AWS."""
    with pytest.raises(ValueError):  # noqa: PT011  # json's own error among them
        _read(**settings)
