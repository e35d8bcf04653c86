"""Log lines, and the metrics that CloudWatch extracts from them (EMF, its embedded metric format).

Each request writes one line, which is also the EMF document of its metrics. See ``docs/operations.md`` for the metrics.
"""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from shared.domain.errors import (
    BudgieError,
    ContentionError,
    MisconfiguredError,
    RateLimitedError,
    ReadBudgetError,
    every_error,
)
from shared.observability.meter import HITS, OUTCOMES
from shared.settings import LogSettings

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

    from shared.observability.meter import Meter


NAMESPACE: Final = "Budgie"
DISPATCHER: Final[Mapping[str, str]] = {
    "Frames": "Count",
    "DispatchLag": "Milliseconds",
    "Dropped": "Count",
    "Poisoned": "Count",
}
"""Those of ``BASIC`` that the dispatcher's lines have, and no request's."""
BASIC: Final[Mapping[str, str]] = {
    "Latency": "Milliseconds",
    "ColdStarts": "Count",
    "Crashes": "Count",
    "CacheReads": "Count",
    "CacheHits": "Count",
    "RedisCommands": "Count",
    "RedisStoredBytes": "Bytes",
    "RedisFailures": "Count",
    "Contention": "Count",
    "RateLimited": "Count",
    "Misconfigured": "Count",
    "Throttles": "Count",
    **DISPATCHER,
}
"""Names and units. API Gateway, Lambda and DynamoDB provide the other metrics."""
TROUBLE: Final = frozenset(
    {
        *("Crashes", "RedisFailures", "Contention", "RateLimited", "Misconfigured", "Throttles"),
        *("Dropped", "Poisoned"),
    }
)
"""Metrics that are written only in case of trouble. CloudWatch includes ten metrics and bills further ones by the hours
in which they had a value; an ordinary month has six, with realtime eight."""
LIMITS: Final = frozenset({RateLimitedError.code, ReadBudgetError.code})
"""The errors that count as ``RateLimited``; API Gateway's own 429 are not seen here."""
REASONS: Final = ("get_pages", "get_channels", "put_pages", "put_channels")
"""The reasons to send a Redis command."""


def _camel(prefix: str, name: str) -> str:
    return prefix + "".join(word.capitalize() for word in name.split("_"))


_ERRORS: Final = {each.code: _camel("Error", each.code) for each in every_error()}
_CACHE: Final = {each: _camel("Cache", each) for each in OUTCOMES}
_REDIS: Final = {each: _camel("Redis", each) for each in REASONS}
FULL: Final[Mapping[str, str]] = {
    **BASIC,
    **dict.fromkeys(("ReadUnits", "WriteUnits", "Conflicts", "Voids"), "Count"),
    "FrameBytes": "Bytes",
    "FanOut": "Milliseconds",
    "Gone": "Count",
    "Retried": "Count",
    **dict.fromkeys((*_ERRORS.values(), *_CACHE.values(), *_REDIS.values()), "Count"),
}
"""All metrics with ``METRICS_DETAIL=full``; clients cannot cause other names."""


@cache
def log_settings() -> LogSettings:
    """This container's settings of log and metrics; valid even if its other settings are not."""
    return LogSettings.from_env(os.environ)


@cache
def logger() -> Logger:
    """The logger; it writes one JSON object a line."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - reads the environment when it is made

    from shared.observability.log_format import LineFormatter  # noqa: PLC0415 - loads Powertools

    settings = log_settings()
    return Logger(service=settings.service, level=settings.level, logger_formatter=LineFormatter())


def warm_up() -> None:
    """Loads everything that the first line needs."""
    logger()
    _serializer()


def sample() -> bool:
    """Whether to write debug lines for the request that begins; ``POWERTOOLS_LOGGER_SAMPLE_RATE`` sets the share."""
    log = logger()
    if log.sampling_rate:
        log.refresh_sample_rate_calculation()
    return bool(log.log_level <= logging.DEBUG)


def log_request(
    fields: Mapping[str, object],
    meter: Meter,
    *,
    user_id: str | None,
    ms: float,
    is_cold: bool,
    code: str | None,
) -> None:
    """Writes a request's line: its fields, and its metrics in CloudWatch's format.

    Args:
        fields: the line's fields; those that are None are left out.
        meter: the request's meter, closed.
        user_id: the caller, of whom the line has a hash; None if unknown.
        ms: the request's duration.
        is_cold: whether it is its container's first request.
        code: the code of its error, None if it succeeded.
    """
    metrics = values(meter, ms=ms, is_cold=is_cold, code=code, detailed=log_settings().is_detailed)
    fields = {**fields, "user": user_hash(user_id), **metrics}
    logger().info("request", fields=fields, directive=directive(metrics))


def log_batch(
    fields: Mapping[str, object],
    meter: Meter,
    counts: Mapping[str, float],
    *,
    is_cold: bool,
    code: str | None,
) -> None:
    """Writes the line of a batch of the table's stream. Nobody waits for one, so it has no ``Latency``.

    Args:
        fields: as of ``log_request``.
        meter: the batch's meter, closed.
        counts: more metrics, of ``FULL``; those that are 0 are left out.
        is_cold: as of ``log_request``.
        code: as of ``log_request``.
    """
    is_detailed = log_settings().is_detailed
    metrics = values(meter, ms=0, is_cold=is_cold, code=code, detailed=is_detailed)
    del metrics["Latency"]
    metrics |= {name: each for name, each in counts.items() if each and (is_detailed or name in BASIC)}
    made = directive(metrics) if metrics else None
    logger().info("batch", fields={**fields, **metrics}, directive=made)


def log_crash(error: Exception, request_id: str) -> None:
    """Logs an unexpected error: where it happened, but not its message, which may quote the request."""
    frames: list[Any] = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    logger().error("crash", error=type(error).__qualname__, frames=frames[-8:], request_id=request_id)


def user_hash(user_id: str | None) -> str | None:
    """The user's name in logs: it connects the lines of one user without revealing the user id."""
    return sha256(user_id.encode()).hexdigest()[:12] if user_id else None


# --- metrics ---


def values(meter: Meter, *, ms: float, is_cold: bool, code: str | None, detailed: bool) -> dict[str, float]:
    """A request's metrics, without those that are 0, as a missing value counts as 0.

    Args:
        meter: the request's meter, closed.
        ms: the request's duration.
        is_cold: whether it is its container's first request.
        code: the code of its error, None if it succeeded.
        detailed: whether to return all of ``FULL``, not only ``BASIC``.
    """
    found: dict[str, float] = {
        "ColdStarts": is_cold,
        "Crashes": code == BudgieError.code,
        "CacheReads": len(meter.outcomes),
        "CacheHits": sum(each in HITS for each in meter.outcomes),
        "RedisCommands": sum(meter.commands.values()),
        "RedisStoredBytes": meter.stored or 0,
        "RedisFailures": sum(meter.failures.values()) + (meter.breaker is not None),
        "Contention": code == ContentionError.code,
        "RateLimited": code in LIMITS,
        # Invalid settings are found before any call to AWS.
        "Misconfigured": meter.misconfigured or code == MisconfiguredError.code,
        "Throttles": meter.throttles,
    }
    if detailed:
        found |= _details(meter, code)
    return {"Latency": ms} | {name: value + 0 for name, value in found.items() if value}


def _details(meter: Meter, code: str | None) -> dict[str, float]:
    found: dict[str, float] = {
        "ReadUnits": meter.read_units,
        "WriteUnits": meter.write_units,
        "Conflicts": meter.conflicts,
        "Voids": meter.voids,
    }
    if code in _ERRORS:
        found[_ERRORS[code]] = 1
    found |= {_CACHE[each]: count for each, count in Counter(meter.outcomes).items() if each in _CACHE}
    return found | {_REDIS[each]: count for each, count in meter.commands.items() if each in _REDIS}


def directive(found: Mapping[str, float]) -> str:
    """The line's member ``_aws`` as JSON text, which tells CloudWatch where these metrics are in the line."""
    return f'{{"Timestamp":{time.time_ns() // 1_000_000},"CloudWatchMetrics":{_directives(tuple(found))}}}'


@lru_cache(maxsize=64)
def _directives(names: tuple[str, ...]) -> str:
    """Written by Powertools, and cached, as there are few different sets of names."""
    metrics = {name: {"Unit": FULL[name], "Value": 1} for name in names}
    made = _serializer().serialize_metric_set(metrics, {"service": log_settings().service}, {})
    return json.dumps(made["_aws"]["CloudWatchMetrics"], separators=(",", ":"))


@cache
def _serializer() -> AmazonCloudWatchEMFProvider:
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (  # noqa: PLC0415 - loads Powertools
        AmazonCloudWatchEMFProvider,
    )

    # It keeps no metrics itself, so concurrent requests (locally) can share it.
    return AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=log_settings().service)
