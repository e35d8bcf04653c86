"""Health checks: a shallow one shows that the function runs, a deep one also asks DynamoDB and Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.bootstrap import Services
from shared.cache.build import pages_key
from shared.cache.probe import probe
from shared.cache.upstash import RedisError
from shared.domain import plans
from shared.domain.errors import BudgieError
from shared.observability.meter import meter
from shared.runtime.parallel import run_both


def check_health(services: Services, *, deep: bool) -> dict[str, Any]:
    """``status`` is ``ok``, ``degraded`` (chat works, but slower or at a higher cost) or ``down`` (DynamoDB fails)."""
    if not deep:
        return {"status": "ok"}
    dynamodb, redis = run_both(
        lambda: _check(services.store.ping), lambda: _check_redis(services), services.background
    )
    checks = {"dynamodb": dynamodb, "redis": redis}
    status = "ok"
    if checks["redis"]["status"] == "down":
        status = "degraded"
    if checks["dynamodb"]["status"] == "down":
        status = "down"
    return {
        "status": status,
        "checks": checks,
        "cache": _cache(services),
        "usage": _usage(services, checks["redis"]),
    }


def _check_redis(services: Services) -> dict[str, Any]:
    """Reads and writes, as the functions do, so that the check covers the quota, the free space and the permissions."""
    upstash, settings = services.upstash, services.settings
    if upstash is None:
        return {"status": "off"}
    return _check(lambda: probe(upstash, pages_key(settings), f"{settings.table_name}:health"))


def _cache(services: Services) -> dict[str, Any]:
    """What the cache did in this container; when deployed, this is the container of the health check itself."""
    upstash, memory = services.upstash, services.memory
    return services.metrics.snapshot() | {
        "breaker": upstash.breaker.state if upstash else "off",
        "memory_bytes": services.bytes_held,
        "memory_values": len(memory),
    }


def _usage(services: Services, redis: dict[str, Any]) -> dict[str, Any]:
    """The plan's limits, and the commands of this container; CloudWatch has the sum of all (`make usage`)."""
    plan = plans.PLANS[services.settings.upstash_plan]
    return {
        "plan": plan.name,
        "commands": services.metrics.commands,
        "commands_a_day": plan.commands_a_day,
        "commands_a_month": plan.commands_a_month,
        "stored_bytes": _stored_bytes(services) if redis["status"] == "ok" else None,
        "stored_bytes_limit": plan.stored_bytes,
    }


def _stored_bytes(services: Services) -> int | None:
    """From Redis' INFO, which Upstash does not bill; None if INFO does not say or fails."""
    if services.upstash is None:
        return None
    try:
        found = plans.stored_bytes(str(services.upstash.execute("info", "INFO")))
    except RedisError:
        return None
    if found is not None:
        meter().ledger.stored("", found)
    return found


def _check(ping: Callable[[], object]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        ping()
    except BudgieError as error:
        return {"status": "down", "code": error.code}
    except RedisError as error:
        return {"status": "down", "code": f"redis_{error.kind}"}
    return {"status": "ok", "ms": round((time.perf_counter() - started) * 1000, 1)}
