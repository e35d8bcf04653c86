"""Checking health."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.errors import StoreUnavailableError
from shared.store.memory import MemoryStore
from tests.api import Api

if TYPE_CHECKING:
    from shared.services import Services
    from tests.api import Answer


class SilentStore(MemoryStore):
    """A storage that does not answer."""

    def ping(self) -> None:
        """Fails as DynamoDB would."""
        raise StoreUnavailableError


class FakeUpstash(Upstash):
    """Redis as the check meets it: it answers, or fails with `failure`."""

    failure = ""

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ARG002 - as the real one
        """Answers a ping."""
        if self.failure:
            raise RedisError(self.failure)
        return "PONG"


def with_redis(services: Services, failure: str = "") -> Services:
    """The services with such a Redis."""
    redis = FakeUpstash(UpstashOptions("http://127.0.0.1:1", "token"), services.cache.metrics, services.now)
    redis.failure = failure
    return replace(services, cache=replace(services.cache, upstash=redis))


def deep(services: Services) -> Answer:
    """The answer of a deep check over these services."""
    return Api(services)("GET", "/v1/healthz", user=None, query={"deep": "1"})


def test_a_shallow_check_needs_no_token_and_no_storage(services: Services) -> None:
    """The shallow check says that the function runs, whatever DynamoDB does."""
    answer = Api(replace(services, store=SilentStore()))("GET", "/v1/healthz", user=None)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_a_deep_check_says_that_all_is_well(services: Services) -> None:
    """A deep check times what it reaches."""
    answer = deep(with_redis(services))
    assert answer.status == 200
    assert answer.json["status"] == "ok"
    assert {name: check["status"] for name, check in answer.json["checks"].items()} == {
        "dynamodb": "ok",
        "redis": "ok",
    }
    assert all(check["ms"] >= 0 for check in answer.json["checks"].values())


def test_redis_that_is_not_set_up_is_off_and_not_ill(services: Services) -> None:
    """Without Redis the service is well."""
    answer = deep(services)
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert answer.json["checks"]["redis"] == {"status": "off"}


def test_redis_that_is_down_degrades_the_service(services: Services) -> None:
    """Chat works without Redis, so the check is still 200, and names Redis."""
    answer = deep(with_redis(services, "timeout"))
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"]["redis"] == {"status": "down", "code": "redis_timeout"}


def test_a_storage_that_is_down_takes_the_service_down(services: Services) -> None:
    """Without DynamoDB there is no chat: 503, and the check names the storage."""
    answer = deep(replace(with_redis(services, "timeout"), store=SilentStore()))
    assert (answer.status, answer.json["status"]) == (503, "down")
    assert answer.json["checks"]["dynamodb"] == {"status": "down", "code": "store_unavailable"}


def test_a_deep_check_says_what_the_cache_did(services: Services) -> None:
    """An operator sees the container's cache: its breaker and what it holds."""
    assert deep(services).json["cache"]["breaker"] == "off"
    cache = deep(with_redis(services)).json["cache"]
    assert cache["breaker"] == "closed"
    assert (cache["memory_bytes"], cache["memory_values"]) == (0, 0)


class TellingUpstash(FakeUpstash):
    """Redis that says what it stores."""

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:
        """INFO, or as before."""
        return (
            "# Memory\r\nused_memory:4711\r\n"
            if command == "INFO"
            else super().execute(reason, command, *arguments)
        )


def test_a_deep_check_shows_the_plan_beside_the_use(services: Services) -> None:
    """Limits of the plan that is set, this container's commands, and what Redis stores where it says so."""
    redis = TellingUpstash(
        UpstashOptions("http://127.0.0.1:1", "token"), services.cache.metrics, services.now
    )
    services.cache.metrics.command("get_pages")
    told = replace(services, cache=replace(services.cache, upstash=redis))
    assert deep(told).json["usage"] == {
        "plan": "free",
        "commands": 1,
        "commands_a_day": None,
        "commands_a_month": 500_000,
        "stored_bytes": 4711,
        "stored_bytes_limit": 256 * 1024 * 1024,
    }
    assert deep(with_redis(services)).json["usage"]["stored_bytes"] is None
    assert deep(services).json["usage"]["stored_bytes"] is None
