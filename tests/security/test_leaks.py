"""Nothing of what some people say, write or are called ever reaches others, a log, a metric or a key."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.gateway.routing import Routes
from local.template.load import load
from shared.bootstrap import compose
from shared.cache.encryption import EncryptedUpstash
from shared.cache.redis import RedisTier
from shared.observability.telemetry import logger
from shared.settings import Settings
from shared.storage.dynamodb import DynamoDBStore
from tests.api import Api, chosen, event
from tests.contract.fake_client import FakeClient, refusal
from tests.functions.chat import Chat, messages
from tests.functions.refusals import ROUTES
from tests.security.containers import Container, Deployment, WatchedStore
from tests.security.leaks import captured, in_answers, in_redis, in_text, in_values
from tests.security.tenants import TENANTS, Sent, Tenant, seeded, traffic
from tests.shared.cache.scripted import scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from shared.cache.blocks import Cached
    from shared.storage.memory import MemoryStore
    from tests.conftest import FakeClock

ROOT: Final = Path(__file__).resolve().parents[2]
STEPS: Final = 300
CONTAINERS: Final = 3
GATEWAY: Final = Routes(load(ROOT / "template.yaml").routes)
REDIS_FAILURES: Final = ("timeout", "disconnected", "garbled", "refused_token")


class Crash(Exception):  # noqa: N818 - an unforeseen error
    """Quotes what it was given, as errors of libraries do."""


def as_gateway_sends(made: dict[str, Any]) -> dict[str, Any]:
    """An event under the key of its route in the template; of one for all methods where that has none for its own."""
    matched = GATEWAY.match(made["requestContext"]["http"]["method"], made["rawPath"])
    path = chosen(made["rawPath"])[0]
    other = "$default" if path == made["rawPath"] else f"ANY {path}"
    return made | {"routeKey": matched[0].key if matched else other}


class World:
    """Tenants whose requests meet in the same containers."""

    def __init__(
        self, clock: FakeClock, *, is_sealed: bool = False, store: WatchedStore | None = None
    ) -> None:
        self.deployment = Deployment(clock, store or WatchedStore())
        self.tenants = [make() for make in TENANTS]
        self.containers = [self.start(is_sealed=is_sealed) for _ in range(CONTAINERS)]
        self.sent: list[Sent] = []
        for tenant in self.tenants:
            tenant.settle_in(self.containers[0].chat)

    def start(self, *, is_sealed: bool) -> Container:
        """A container whose values in Redis are encrypted or not."""
        container = self.deployment.start(is_loaded=False)
        if is_sealed:
            for tier in container.tiers:
                encrypt(tier, container)
        container.settle()
        return container

    def run(self, draw: Random, steps: int = STEPS) -> None:
        """Interleaved traffic, with storage and Redis failing now and then, and time moving."""
        for step in range(steps):
            self.deployment.clock.ms += 700
            container = draw.choice(self.containers)
            tenant, request = traffic(self.tenants, draw)
            container.upstash.failure = draw.choice(REDIS_FAILURES) if draw.random() < 0.05 else None
            self.deployment.store.failure = Crash(str(request)) if draw.random() < 0.03 else None
            answer = container.chat.api.invoke(as_gateway_sends(event(**request)))
            self.sent.append(Sent(tenant, request, answer))
            self.deployment.store.failure = None
            if step % 20 == 0:
                container.settle()

    def memory(self) -> Iterator[dict[str, Cached]]:
        """What each container holds in memory."""
        for container in self.containers:
            values = container.services.memory._values
            yield {key: value for key, (value, _) in values.items()}


def encrypt(tier: RedisTier, container: Container) -> None:
    """Has a tier seal what it writes."""
    tier._upstash = EncryptedUpstash(container.upstash, lambda: "s" * 32, container.clock.now)


@pytest.mark.parametrize("is_sealed", [False, True], ids=["clear", "sealed"])
def test_no_word_is_where_it_does_not_belong(clock: FakeClock, *, is_sealed: bool) -> None:
    """No marker is in another tenant's response, a log line, a key or a foreign block; nor in Redis if encrypted."""
    with captured() as log:
        world = World(clock, is_sealed=is_sealed)
        world.run(seeded(7))
        for container in world.containers:
            container.upstash.failure = None
            container.settle()
    statuses = {each.response.status for each in world.sent}
    assert {200, 201, 400, 403, 404, 405, 413, 422, 500} <= statuses
    assert all(each.marker in str([one.text for one in world.sent]) for each in world.tenants)
    assert in_answers(world.sent, world.tenants) == []
    assert in_text(log.getvalue(), world.tenants) == []
    assert '"CloudWatchMetrics"' in log.getvalue()
    assert '"crash"' in log.getvalue()
    assert set(world.deployment.redis) == {"budgie:p1", "budgie:u1"}
    assert in_redis(world.deployment.redis, world.tenants, encrypted=is_sealed) == []
    assert [in_values(values, world.tenants) for values in world.memory()] == [[]] * CONTAINERS


# --- the search can fail ---


class MixedUp(WatchedStore):
    """A storage whose logs are mixed up: now and then it reads a stranger's."""

    def __getattr__(self, name: str) -> Any:
        """Entries are another channel's."""
        if name != "entries" or len(self.store.contents()["entries"]) < 4:
            return super().__getattr__(name)

        def entries(_: str, first: int, last: int) -> Any:
            return self.store.entries(next(iter(self.store.contents()["entries"])), first, last)

        return entries


def test_a_mix_up_is_found(clock: FakeClock) -> None:
    """A storage, or a key, that mixes up channels is found in responses, in memory and in Redis."""
    world = World(clock, store=MixedUp())
    world.run(seeded(7), 150)
    assert in_answers(world.sent, world.tenants)
    assert any(in_values(values, world.tenants) for values in world.memory())


@pytest.mark.parametrize("field", ["text", "user", "token", "key"])
def test_a_careless_line_is_found(field: str) -> None:
    """A log line with a text or a user is found, also within an error's text."""
    tenants = [Tenant("QACMEQ")]
    with captured() as log:
        logger().info("request", fields={field: tenants[0].canary(field)})
    assert len(in_text(log.getvalue(), tenants)) == 1
    with captured() as log:
        logger().error("failed", exc_info=Crash(tenants[0].canary("text")))
    assert in_text(log.getvalue(), tenants)


def test_a_careless_key_is_found(clock: FakeClock) -> None:
    """A Redis key with a user's name, a value that is not encrypted, and a marker in base64 are found."""
    world = World(clock)
    world.run(seeded(7), 60)
    world.containers[0].settle()
    redis = world.deployment.redis
    assert in_redis(redis | {"budgie:QACMEQ-ada": redis["budgie:p1"]}, world.tenants)
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + b"text-QACMEQ-1").decode()
        assert in_text(encoded, world.tenants) == [encoded]


# --- failures that quote ---


@pytest.mark.parametrize(
    "code", ["ValidationException", "AccessDeniedException", "ThrottlingException", "Strange"]
)
def test_what_dynamodb_says_is_not_repeated(clock: FakeClock, code: str) -> None:
    """Errors of AWS name items, tables and roles: no response and no log line repeats them."""
    error = refusal(code, Message="QACMEQ")
    error.response["Error"]["Message"] = "One or more values are invalid: QACMEQ"
    store = DynamoDBStore(FakeClient(error), "table", clock.sleep)
    api = Api(compose(Settings(), store, clock.now, clock.sleep))
    channel = "0" * 16
    with captured() as log:
        answers = [
            api(
                route.method,
                route.path(channel),
                body=route.body,
                query={"deep": 1} if "health" in route.name else {},
            )
            for route in ROUTES
        ]
    assert {answer.status for answer in answers} <= {500, 503}
    assert in_text(log.getvalue(), [Tenant("QACMEQ")]) == []
    assert not [answer for answer in answers if "QACMEQ" in f"{answer.headers} {answer.body}"]


@pytest.mark.stack
@pytest.mark.parametrize(
    "said",
    [
        (400, b'{"error":"ERR unknown command QZENQ, with args beginning with: QACMEQ"}'),
        (401, b'{"error":"WRONGPASS invalid token QACMEQ"}'),
        (200, b'{"result":"B2zQACMEQ"}'),
        (502, b"<html>QACMEQ QZENQ</html>"),
        None,
    ],
)
def test_what_redis_says_is_not_repeated(
    store: MemoryStore, clock: FakeClock, said: tuple[int, bytes] | None
) -> None:
    """Errors of Redis and its client quote commands, headers and tokens: no response and no log line repeats them."""
    with captured() as log, scripted() as script:
        script.responses = [said] * 4
        settings = Settings(upstash_url=script.url, upstash_token="QACMEQ-token", redis_wait_ms=2_000)
        services = compose(settings, store, clock.now, clock.sleep)
        chat = Chat(Api(services), clock)
        channel = chat.channel()
        chat.post(channel)
        answers = []
        for path, tier in ((messages(channel), services.pages), ("/v1/channels", services.lists)):
            answers.append(chat.api("GET", path))
            assert isinstance(tier, RedisTier)
            tier.settle()
        answers.append(chat.api("GET", "/v1/healthz", query={"deep": 1}))
        assert services.upstash is not None
        services.upstash.close()
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert script.requests
    shown = [f"{answer.headers} {answer.body}" for answer in answers]
    assert in_text("\n".join([log.getvalue(), *shown]), [make() for make in TENANTS]) == []
