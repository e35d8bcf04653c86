"""Foreign values under our keys in Redis are never served, and are replaced by the next write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.upstash.endpoint import UpstashEndpoint
from shared.cache.blocks import Block, block_key
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.blocks import OTHER, block, packed
from tests.conftest import FakeClock
from tests.e2e.redis_world import BUNDLE, World, chat_on, opened_world
from tests.endpoint import opened_endpoint, run

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashEndpoint]:
    """A running endpoint."""
    with opened_endpoint(tmp_path_factory.mktemp("valkey")) as endpoint:
        yield endpoint


@pytest.fixture
def world(endpoint: UpstashEndpoint, clock: FakeClock, store: MemoryStore, api: Api) -> Iterator[World]:
    """A chat with a healthy Redis, that a container has just filled."""
    with opened_world(endpoint, clock, store, api) as world:
        yield world


def wrong_values(world: World) -> dict[str, tuple[str, ...]]:
    """Commands that put something else under our key."""
    channel = world.channels[0]
    stranger = {block_key(channel, 0): block(OTHER, 1, 50), block_key(channel, 1): block(OTHER, 51, 60)}
    moved = {block_key(channel, 1): Block.of(51, block(channel, 52, 61).bodies)}
    bundle = run(world.endpoint, "GET", BUNDLE)
    return {
        "foreign text": ("SET", BUNDLE, "hello"),
        "text that is no ASCII": ("SET", BUNDLE, "B2z\N{SNOWMAN}"),
        "another channel's blocks": ("SET", BUNDLE, packed(stranger)),
        "a block moved by a position": ("SET", BUNDLE, packed(moved)),
        "a newer form": ("SET", BUNDLE, f"B4{bundle[2:]}"),
        "half a bundle": ("SET", BUNDLE, bundle[: len(bundle) // 2]),
        "a hash": ("HSET", BUNDLE, "field", "value"),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "foreign text",
        "text that is no ASCII",
        "another channel's blocks",
        "a block moved by a position",
        "a newer form",
        "half a bundle",
        "a hash",
    ],
)
def test_wrong_values_are_misses(world: World, wrong: str) -> None:
    """Any foreign value under our key is counted, never served, and replaced by the next write."""
    command = wrong_values(world)[wrong]
    run(world.endpoint, "DEL", BUNDLE)
    run(world.endpoint, *command)
    container = world.start()
    chat_on(world, container)
    container.settle()
    health = container.health().json
    assert (health["status"], health["cache"]["breaker"]) == ("ok", "closed")
    assert health["cache"]["unreadable"] == 1
    assert run(world.endpoint, "GET", BUNDLE).startswith("B3z")
    heir = world.start_loaded()
    assert heir.read(world.channels[0]).headers["x-cache"] in {"redis", "caught_up"}
    assert heir.read(world.channels[0]).body == world.truth(world.channels[0])
