"""Health: shallow, that the function runs; deep, that what it depends on answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.errors import BudgieError
from shared.services import Services


def check_health(services: Services, *, deep: bool) -> dict[str, Any]:
    """``status`` is ``ok``, ``degraded`` (chat works, slower or dearer) or ``down`` (DynamoDB does not answer)."""
    if not deep:
        return {"status": "ok"}
    checks = {"dynamodb": _check(services.store.ping), "redis": _check_redis(services)}
    status = "ok"
    if checks["redis"]["status"] == "down":
        status = "degraded"
    if checks["dynamodb"]["status"] == "down":
        status = "down"
    return {"status": status, "checks": checks}


def _check_redis(services: Services) -> dict[str, Any]:
    if services.redis_ping is None:
        return {"status": "off"}
    return _check(services.redis_ping)


def _check(ping: Callable[[], None]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        ping()
    except BudgieError as error:
        return {"status": "down", "code": error.code}
    return {"status": "ok", "ms": round((time.perf_counter() - started) * 1000, 1)}
