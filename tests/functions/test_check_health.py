"""Checking health."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from local.gateway.routing import Routes
from local.template.load import load
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.domain.errors import StoreUnavailableError
from shared.storage.memory import MemoryStore
from tests.api import Api, app_of, event, response_of
from tests.cases import case

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from tests.api import Response
    from tests.conftest import FakeClock


class SilentStore(MemoryStore):
    """A storage that does not respond."""

    def ping(self) -> None:
        """Fails as DynamoDB would."""
        raise StoreUnavailableError


class FakeUpstash(Upstash):
    """Redis as the check meets it: it responds, or fails with `failure`."""

    failure = ""
    pong = "PONG"

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ARG002 - as the real one
        """Responds to a ping."""
        if self.failure:
            raise RedisError(self.failure)
        return self.pong


def with_redis(services: Services, failure: str = "") -> Services:
    """The services with such a Redis."""
    redis = FakeUpstash(UpstashOptions("http://127.0.0.1:1", "token"), services.metrics, services.now)
    redis.failure = failure
    return replace(services, upstash=redis)


def deep(services: Services) -> Response:
    """The response of a deep check with these services."""
    return Api(services)("GET", "/v1/healthz", user=None, query={"deep": "1"})


def test_a_shallow_check_needs_no_token_and_no_storage(services: Services) -> None:
    """The shallow check succeeds whenever the function runs, in any state of DynamoDB."""
    response = Api(replace(services, store=SilentStore()))("GET", "/v1/healthz", user=None)
    assert (response.status, response.json) == (200, {"status": "ok"})


def test_head_is_answered_as_get_without_a_body(services: Services) -> None:
    """Uptime probes ask so: the same status and type, no body, and no length that would not be GET's."""
    for query in [{}, {"deep": "1"}, {"deeper": "1"}]:
        with case(query):
            for store in (services.store, SilentStore()):
                api = Api(replace(services, store=store))
                asked, probed = (
                    api(method, "/v1/healthz", user=None, query=query) for method in ("GET", "HEAD")
                )
                assert (probed.status, probed.headers["content-type"]) == (
                    asked.status,
                    asked.headers["content-type"],
                )
                assert (probed.body, "content-length" in probed.headers) == ("", False)


def test_no_other_route_takes_head() -> None:
    """API Gateway responds with 404 there, as to any method for which a path has no route."""
    routes = load(Path(__file__).resolve().parents[2] / "template.yaml").routes
    assert [route.path for route in routes if route.method in {"HEAD", "ANY"}] == ["/v1/healthz"]
    known = Routes(routes)
    assert not [each.path for each in routes if known.match("HEAD", each.path) and each.path != "/v1/healthz"]


def test_a_method_that_a_function_does_not_take_is_405_with_those_that_it_does(services: Services) -> None:
    """`Allow` names them (RFC 9110, 15.5.6), should API Gateway ever hand one on."""
    for path, allowed in [("/v1/healthz", "GET, HEAD"), ("/v1/channels", "GET")]:
        with case(path, allowed):
            api = Api(services)
            app = app_of("GET", path)
            response = response_of(api.result(app, event("OPTIONS", path)))
            assert (response.status, response.headers["allow"], response.code) == (
                405,
                allowed,
                "method_not_allowed",
            )


def test_a_deep_check_says_that_all_is_well(services: Services) -> None:
    """A deep check times what it reaches."""
    response = deep(with_redis(services))
    assert response.status == 200
    assert response.json["status"] == "ok"
    assert {name: check["status"] for name, check in response.json["checks"].items()} == {
        "dynamodb": "ok",
        "redis": "ok",
    }
    assert all(check["ms"] >= 0 for check in response.json["checks"].values())


def test_redis_that_is_not_set_up_is_off_and_not_ill(services: Services) -> None:
    """Without Redis the service is well."""
    response = deep(services)
    assert (response.status, response.json["status"]) == (200, "ok")
    assert response.json["checks"]["redis"] == {"status": "off"}


def test_redis_that_is_down_degrades_the_service(services: Services) -> None:
    """Chat works without Redis, so the check is still 200, and names Redis."""
    response = deep(with_redis(services, "timeout"))
    assert (response.status, response.json["status"]) == (200, "degraded")
    assert response.json["checks"]["redis"] == {"status": "down", "code": "redis_timeout"}


class ProbedUpstash(FakeUpstash):
    """Redis that refuses some commands, and what it was asked."""

    refused: ClassVar[set[str]] = set()
    kind = "daily_quota"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: list[tuple[str | int, ...]] = []

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:
        """Refuses, or as before."""
        self.asked.append((command, *arguments))
        if command in self.refused:
            raise RedisError(self.kind)
        return super().execute(reason, command, *arguments)


def probed(services: Services, kind: str = "", *refused: str) -> tuple[Services, ProbedUpstash]:
    """The services with such a Redis, and it."""
    options = UpstashOptions("http://127.0.0.1:1", "token")
    redis = ProbedUpstash(options, services.metrics, services.now)
    redis.refused, redis.kind = set(refused), kind  # type: ignore[misc]  # this one's own
    return replace(services, upstash=redis), redis


def test_a_deep_check_does_what_functions_do(services: Services) -> None:
    """A PING goes well while reads or writes are refused, for quota, room or rights: the check says so, and why."""
    for kind, refused in [
        ("daily_quota", ("GET", "SET")),
        ("monthly_quota", ("GET", "SET")),
        ("full", ("SET",)),
        ("refused_token", ("SET",)),
        ("refused_token", ("GET", "SET")),
        ("timeout", ("GET", "SET")),
    ]:
        with case(kind, refused):
            told, _ = probed(services, kind, *refused)
            response = deep(told)
            assert (response.status, response.json["status"]) == (200, "degraded")
            assert response.json["checks"]["redis"] == {"status": "down", "code": f"redis_{kind}"}


def test_a_deep_check_reads_the_bundle_and_writes_beside_it(services: Services) -> None:
    """What functions keep is not touched; a bundle of another type is theirs to replace, and no fault of Redis."""
    for kind, refused in (("", ()), ("wrong_type", ("GET",))):
        told, redis = probed(services, kind, *refused)
        assert deep(told).json["status"] == "ok"
        assert redis.asked[:3] == [("PING",), ("GET", "budgie:p1"), ("SET", "budgie:health", "1", "EX", 60)]


def test_deep_checks_cost_a_bounded_number_of_commands(services: Services, clock: FakeClock) -> None:
    """Anybody may check: ten at once are probed by commands that are billed, then one every ten minutes."""
    told, redis = probed(services)
    for _ in range(30):
        assert deep(told).json["status"] == "ok"
    assert [each[0] for each in redis.asked].count("SET") == 10
    for minute in range(60):
        clock.ms += 60_000
        deep(told)
        assert [each[0] for each in redis.asked].count("SET") == 10 + (minute + 1) // 10


def test_a_server_that_is_no_redis_is_reported(services: Services) -> None:
    """A server that gives the same response to everything, as at a wrong address, is no Redis."""
    told, redis = probed(services)
    redis.pong = "5"
    assert deep(told).json["checks"]["redis"] == {"status": "down", "code": "redis_garbled"}


def test_an_open_breaker_keeps_its_cause(services: Services) -> None:
    """While the breaker is open, deep health reports the error that opened it."""
    told, redis = probed(services, "breaker_open", "PING")
    redis.breaker.failed(services.now() + 1_000, "refused_token")
    assert deep(told).json["checks"]["redis"] == {"status": "down", "code": "redis_refused_token"}


def test_a_storage_that_is_down_takes_the_service_down(services: Services) -> None:
    """Without DynamoDB there is no chat: 503, and the check names the storage."""
    response = deep(replace(with_redis(services, "timeout"), store=SilentStore()))
    assert (response.status, response.json["status"]) == (503, "down")
    assert response.json["checks"]["dynamodb"] == {"status": "down", "code": "store_unavailable"}


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
    redis = TellingUpstash(UpstashOptions("http://127.0.0.1:1", "token"), services.metrics, services.now)
    services.metrics.command("get_pages")
    told = replace(services, upstash=redis)
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
