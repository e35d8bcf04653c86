"""What operators see: log lines, and the metrics that CloudWatch reads out of them (EMF, its embedded metric format).

A request is one line, which is its metrics' document at the same time. What each metric means: ``docs/operations.md``.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from shared.domain.errors import (
    BudgieError,
    ContentionError,
    MisconfiguredError,
    RateLimitedError,
    ReadBudgetError,
    every_error,
)
from shared.observability.meter import HITS, OUTCOMES
from shared.settings import LEVELS, unquoted

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

    from shared.observability.meter import Meter

SERVICE: Final = "budgie"
"""The metrics' one dimension, ``service``, where ``POWERTOOLS_SERVICE_NAME`` does not say it: the template has the
stack's name there, so that two stacks in a region have metrics of their own."""
NAMESPACE: Final = "Budgie"
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
}
"""Names and units. API Gateway, Lambda and DynamoDB count the rest."""
TROUBLE: Final = frozenset(
    {"Crashes", "RedisFailures", "Contention", "RateLimited", "Misconfigured", "Throttles"}
)
"""Those that only requests in trouble write. CloudWatch gives ten metrics for nothing and bills each further one by the
hours that it had a value in, so that an ordinary month has six."""
LIMITS: Final = frozenset({RateLimitedError.code, ReadBudgetError.code})
"""Why we answer 429; API Gateway's own are not seen here."""
REASONS: Final = ("get_pages", "get_channels", "put_pages", "put_channels")
"""Why a Redis command is sent."""


def _camel(prefix: str, name: str) -> str:
    return prefix + "".join(word.capitalize() for word in name.split("_"))


_ERRORS: Final = {each.code: _camel("Error", each.code) for each in every_error()}
_CACHE: Final = {each: _camel("Cache", each) for each in OUTCOMES}
_REDIS: Final = {each: _camel("Redis", each) for each in REASONS}
FULL: Final[Mapping[str, str]] = {
    **BASIC,
    **dict.fromkeys(("ReadUnits", "WriteUnits", "Conflicts", "Voids"), "Count"),
    **dict.fromkeys((*_ERRORS.values(), *_CACHE.values(), *_REDIS.values()), "Count"),
}
"""With ``METRICS_DETAIL=full``; there can be no other names, whatever clients do."""


@cache
def service() -> str:
    """This deployment's name: of its metrics, and in each line."""
    return os.environ.get("POWERTOOLS_SERVICE_NAME", "").strip() or SERVICE


@cache
def logger() -> Logger:
    """The log: one JSON object a line."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - reads the environment when it is made

    from shared.observability.log_format import LineFormatter  # noqa: PLC0415 - loads Powertools

    # As Powertools would choose, which does not take an empty variable for none. A level that there is not would end
    # the container before its first line could say so: the settings do.
    level = os.environ.get("POWERTOOLS_LOG_LEVEL") or os.environ.get("LOG_LEVEL") or "INFO"
    level = level.strip().upper()
    level = level if level in LEVELS else "INFO"
    return Logger(service=service(), level=level, logger_formatter=LineFormatter())


def warm_up() -> None:
    """Loads what the first line needs."""
    logger()
    _serializer()


@cache
def is_detailed() -> bool:
    """Whether this container emits ``FULL``."""
    return unquoted(os.environ.get("METRICS_DETAIL", "")) == "full"  # as the settings read it


def sample() -> bool:
    """Whether debug lines are written for the request that begins, as ``POWERTOOLS_LOGGER_SAMPLE_RATE`` has it."""
    log = logger()
    if log.sampling_rate:
        log.refresh_sample_rate_calculation()
    return bool(log.log_level <= logging.DEBUG)


def log_request(
    fields: Mapping[str, object], meter: Meter, *, ms: float, is_cold: bool, code: str | None
) -> None:
    """Writes a request's line: its fields, and its metrics as CloudWatch reads them.

    Args:
        fields: of the line; None is left out.
        meter: what the request did, closed.
        ms: how long it took.
        is_cold: whether it is its container's first.
        code: its error's.
    """
    metrics = values(
        meter,
        ms=ms,
        is_cold=is_cold,
        code=code,
        commands=meter.commands,
        stored=meter.stored,
        detailed=is_detailed(),
    )
    logger().info("request", fields={**fields, **metrics}, directive=directive(metrics))


def values(
    meter: Meter,
    *,
    ms: float,
    is_cold: bool,
    code: str | None,
    commands: Mapping[str, int],
    stored: int | None,
    detailed: bool,
) -> dict[str, float]:
    """A request's metrics; what is 0 is left out, for CloudWatch takes what is missing as that.

    Args:
        meter: what the request did.
        ms: how long it took.
        is_cold: whether it is its container's first.
        code: its error's.
        commands: Redis commands by reason that no request has reported yet.
        stored: bytes in Redis, where something new is known of them.
        detailed: all of ``FULL``, not only ``BASIC``.
    """
    found: dict[str, float] = {
        "ColdStarts": is_cold,
        "Crashes": code == BudgieError.code,
        "CacheReads": len(meter.outcomes),
        "CacheHits": sum(each in HITS for each in meter.outcomes),
        "RedisCommands": sum(commands.values()),
        "RedisStoredBytes": stored or 0,
        "RedisFailures": sum(meter.failures.values()) + (meter.breaker is not None),
        "Contention": code == ContentionError.code,
        "RateLimited": code in LIMITS,
        # A setting that cannot be used is found before AWS is asked for anything.
        "Misconfigured": meter.misconfigured or code == MisconfiguredError.code,
        "Throttles": meter.throttles,
    }
    if detailed:
        found |= _details(meter, code, commands)
    return {"Latency": ms} | {name: value + 0 for name, value in found.items() if value}


def _details(meter: Meter, code: str | None, commands: Mapping[str, int]) -> dict[str, float]:
    found: dict[str, float] = {
        "ReadUnits": meter.read_units,
        "WriteUnits": meter.write_units,
        "Conflicts": meter.conflicts,
        "Voids": meter.voids,
    }
    if code in _ERRORS:
        found[_ERRORS[code]] = 1
    found |= {_CACHE[each]: count for each, count in Counter(meter.outcomes).items() if each in _CACHE}
    return found | {_REDIS[each]: count for each, count in commands.items() if each in _REDIS}


def directive(found: Mapping[str, float]) -> str:
    """How CloudWatch is to read these metrics out of a line that has them: its member ``_aws``, as JSON text."""
    return f'{{"Timestamp":{time.time_ns() // 1_000_000},"CloudWatchMetrics":{_directives(tuple(found))}}}'


@lru_cache(maxsize=64)
def _directives(names: tuple[str, ...]) -> str:
    """As Powertools writes it; once, as few sets of names ever come up."""
    metrics = {name: {"Unit": FULL[name], "Value": 1} for name in names}
    made = _serializer().serialize_metric_set(metrics, {"service": service()}, {})
    return json.dumps(made["_aws"]["CloudWatchMetrics"], separators=(",", ":"))


@cache
def _serializer() -> AmazonCloudWatchEMFProvider:
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (  # noqa: PLC0415 - loads Powertools
        AmazonCloudWatchEMFProvider,
    )

    # It is given all that it writes: requests at the same time (locally) share nothing in it.
    return AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=service())
