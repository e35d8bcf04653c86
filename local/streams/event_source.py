"""The settings of an event source mapping for a DynamoDB stream, as SAM's `Events` of type `DynamoDB` declare them.

Names, defaults and ranges: "Lambda parameters for Amazon DynamoDB event source mappings" (Developer Guide) and
`CreateEventSourceMapping` (API reference).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local.streams.patterns import Matches, compile_pattern

TRIM_HORIZON: Final = "TRIM_HORIZON"
LATEST: Final = "LATEST"
RETENTION_SECONDS: Final = 24 * 3600
"""A stream's records expire after this: what has no other limit is retried until then."""
MAX_FILTERS: Final = 5

_READ: Final = frozenset(
    {
        *("Stream", "StartingPosition", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds"),
        *("BisectBatchOnFunctionError", "FunctionResponseTypes", "MaximumRetryAttempts"),
        *("MaximumRecordAgeInSeconds", "FilterCriteria", "DestinationConfig"),
    }
)


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """A mapping of the table's stream to a function.

    Attributes:
        function: the function's logical id.
        position: where reading begins: `LATEST`, or `TRIM_HORIZON`, the oldest record.
        batch_size: the most records of one invocation.
        window: seconds for which records are gathered.
        bisect: whether a batch whose function fails is split in two.
        reports_failures: whether the function may tell the first record that it did not handle.
        max_retries: how often a failed batch is tried again; None for no limit.
        max_age: seconds after which a record is discarded.
        filters: a record that matches none of them is passed over; without filters every record matches.
        has_destination: whether a destination is told of discarded records.
    """

    function: str
    position: str = LATEST
    batch_size: int = 100
    window: float = 0
    bisect: bool = False
    reports_failures: bool = False
    max_retries: int | None = None
    max_age: float = RETENTION_SECONDS
    filters: tuple[Matches, ...] = ()
    has_destination: bool = False

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether the function is to get a record."""
        return not self.filters or any(matches(record) for matches in self.filters)


def event_sources(functions: Mapping[str, Mapping[str, Any]]) -> Iterator[EventSource]:
    """The enabled mappings of DynamoDB streams.

    Args:
        functions: the properties of each function by logical id, resolved.

    Raises:
        ValueError: a setting is invalid, or is none of those that are imitated here.
    """
    for name, properties in functions.items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "DynamoDB":
                settings = event["Properties"]
                if unknown := sorted(settings.keys() - _READ):
                    raise ValueError(f"{name}: {', '.join(unknown)} of a stream is not supported")
                if settings.get("Enabled", True):
                    yield _event_source(name, settings)


def _event_source(function: str, settings: Mapping[str, Any]) -> EventSource:
    position = settings.get("StartingPosition")
    if position not in {TRIM_HORIZON, LATEST}:
        raise ValueError(f"{function}: StartingPosition is {TRIM_HORIZON} or {LATEST}, not {position}")
    filters = settings.get("FilterCriteria", {}).get("Filters", [])
    if len(filters) > MAX_FILTERS:
        raise ValueError(f"{function}: a mapping has at most {MAX_FILTERS} filters")
    retries = _number(function, settings, "MaximumRetryAttempts", -1, (-1, 10_000))
    age = _number(function, settings, "MaximumRecordAgeInSeconds", -1, (-1, 604_800))
    if -1 < age < 60:  # noqa: PLR2004  # "values less than 60 and greater than -1 … are not allowed"
        raise ValueError(f"{function}: MaximumRecordAgeInSeconds is -1, or at least 60")
    return EventSource(
        function=function,
        position=position,
        batch_size=_number(function, settings, "BatchSize", 100, (1, 10_000)),
        window=_number(function, settings, "MaximumBatchingWindowInSeconds", 0, (0, 300)),
        bisect=bool(settings.get("BisectBatchOnFunctionError", False)),
        reports_failures="ReportBatchItemFailures" in settings.get("FunctionResponseTypes", ()),
        max_retries=None if retries == -1 else retries,
        max_age=RETENTION_SECONDS if age == -1 else min(age, RETENTION_SECONDS),
        filters=tuple(compile_pattern(each["Pattern"]) for each in filters),
        has_destination="OnFailure" in settings.get("DestinationConfig", {}),
    )


def _number(
    function: str, settings: Mapping[str, Any], name: str, default: int, allowed: tuple[int, int]
) -> int:
    value = int(settings.get(name, default))
    if not allowed[0] <= value <= allowed[1]:
        raise ValueError(f"{function}: {name} is {allowed[0]} to {allowed[1]}, not {value}")
    return value
