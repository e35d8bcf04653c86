"""The unmodified upstash-redis client, sync and asyncio, against the local Upstash endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import upstash_redis
import upstash_redis.asyncio
from upstash_redis.errors import UpstashError

from local.upstash import valkey
from local.upstash.endpoint import UpstashEndpoint

pytestmark = pytest.mark.stack
TOKEN = "local-token"
UNICODE = 'grüße 🦜 \u2028 \x00 "quoted" OK'


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashEndpoint]:
    """A running endpoint with its own Redis server."""
    with (
        valkey.running(tmp_path_factory.mktemp("valkey")) as port,
        UpstashEndpoint(redis_port=port, token=TOKEN, read_only_token="reader") as running,
    ):
        yield running


@pytest.fixture(params=["base64", None])
def redis(request: pytest.FixtureRequest, endpoint: UpstashEndpoint) -> Iterator[upstash_redis.Redis]:
    """A client in each encoding, on an empty database."""
    with _client(endpoint, encoding=request.param) as client:
        client.flushdb()
        yield client


def _client(
    endpoint: UpstashEndpoint, *, encoding: Literal["base64"] | None = "base64", token: str = TOKEN
) -> upstash_redis.Redis:
    return upstash_redis.Redis(endpoint.url, token, rest_encoding=encoding, rest_retries=0)


@pytest.mark.parametrize("text", ["plain", "", "OK", UNICODE, "x" * 100_000])
def test_strings_come_back_as_they_were_set(redis: upstash_redis.Redis, text: str) -> None:
    """A stored text is read back unchanged, even one that looks like a status."""
    assert redis.set("key", text)
    assert redis.get("key") == text


def test_numbers_booleans_and_documents_are_stored_as_their_json(redis: upstash_redis.Redis) -> None:
    """Numbers keep their digits; True, None and a dict are stored as the client writes them."""
    for value, stored in ((7, "7"), (1.5, "1.5"), (True, "true"), (None, "null"), ({"a": [1]}, '{"a": [1]}')):
        redis.set("key", value)  # type: ignore[arg-type]
        assert redis.get("key") == stored
    assert redis.incrby("count", 5) == 5
    assert redis.incrbyfloat("float", 2.25) == 2.25


def test_missing_keys_are_none(redis: upstash_redis.Redis) -> None:
    """A missing value is None, alone and within MGET."""
    redis.set("here", "1")
    assert redis.get("gone") is None
    assert redis.mget("here", "gone", "here") == ["1", None, "1"]


def test_a_value_expires(redis: upstash_redis.Redis) -> None:
    """SET with EX, NX and GET reach the server with their arguments."""
    assert redis.set("key", "a", ex=100)
    assert 0 < redis.ttl("key") <= 100
    assert not redis.set("key", "b", nx=True)
    assert redis.set("key", "c", px=50, get=True) == "a"
    assert 0 < redis.pttl("key") <= 50


def test_hashes_sets_and_sorted_sets(redis: upstash_redis.Redis) -> None:
    """Nested results keep their structure in either encoding."""
    redis.hset("hash", values={"name": UNICODE, "n": "1"})
    assert redis.hgetall("hash") == {"name": UNICODE, "n": "1"}
    redis.zadd("sorted", {"a": 1, "b": 2.5})
    assert redis.zrange("sorted", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
    redis.sadd("set", "x", "y")
    assert set(redis.smembers("set")) == {"x", "y"}


def test_scan_finds_every_key(redis: upstash_redis.Redis) -> None:
    """Following the cursor of SCAN gives each key."""
    redis.mset({f"scan:{i}": str(i) for i in range(50)})
    cursor: Any = 0
    found: set[str] = set()
    while True:
        cursor, keys = redis.scan(cursor, match="scan:*", count=10)
        found.update(keys)
        if cursor == 0:
            break
    assert len(found) == 50


def test_scripts_run_with_keys_and_arguments(redis: upstash_redis.Redis) -> None:
    """EVAL, SCRIPT LOAD and EVALSHA return what the script returns."""
    script = "redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('GET', KEYS[1]), 3}"
    assert redis.eval(script, keys=["key"], args=["value"]) == ["key", "value", 3]
    digest = redis.script_load(script)
    assert redis.evalsha(digest, keys=["key"], args=["other"]) == ["key", "other", 3]


def test_a_pipeline_answers_in_order(redis: upstash_redis.Redis) -> None:
    """Each command of a pipeline gets its own result."""
    pipeline = redis.pipeline()
    pipeline.set("key", UNICODE)
    pipeline.get("key")
    pipeline.incr("count")
    assert pipeline.exec() == [True, UNICODE, 1]


def test_a_transaction_runs_whole(redis: upstash_redis.Redis) -> None:
    """MULTI returns all results at once."""
    transaction = redis.multi()
    transaction.incr("count")
    transaction.incr("count")
    transaction.get("gone")
    assert transaction.exec() == [1, 2, None]


def test_errors_are_the_clients_errors(redis: upstash_redis.Redis) -> None:
    """A command that fails, one that does not exist and a wrong token raise the client's own error."""
    redis.set("text", "abc")
    with pytest.raises(UpstashError, match="not an integer"):
        redis.incr("text")
    with pytest.raises(UpstashError, match="unknown command"):
        redis.execute(["NOSUCH"])
    with pytest.raises(UpstashError, match="not available: 'WATCH'"):
        redis.execute(["WATCH", "text"])


def test_a_wrong_token_is_refused_and_the_read_only_one_only_reads(endpoint: UpstashEndpoint) -> None:
    """Tokens decide which commands a client may run."""
    with _client(endpoint, token="wrong") as stranger, pytest.raises(UpstashError, match=r"^WRONGPASS"):
        stranger.get("key")
    with _client(endpoint, token="reader") as reader:
        assert reader.get("gone") is None
        assert reader.ping() == "PONG"
        with pytest.raises(UpstashError, match=r"^NOPERM"):
            reader.set("key", "value")
        with pytest.raises(UpstashError, match=r"^NOPERM"):
            reader.keys("*")


@pytest.mark.parametrize("encoding", ["base64", None])
def test_the_asyncio_client_works_alike(
    endpoint: UpstashEndpoint, encoding: Literal["base64"] | None
) -> None:
    """Commands, a pipeline, a transaction, concurrency and errors through asyncio."""

    async def talk() -> None:
        client = upstash_redis.asyncio.Redis(endpoint.url, TOKEN, rest_encoding=encoding, rest_retries=0)
        async with client as redis:
            await redis.flushdb()
            assert await redis.set("key", UNICODE, ex=9)
            assert await redis.mget("key", "gone") == [UNICODE, None]
            pipeline, transaction = redis.pipeline(), redis.multi()
            pipeline.incr("count").get("key")
            assert await pipeline.exec() == [1, UNICODE]
            transaction.incr("count").incr("count")
            assert await transaction.exec() == [2, 3]
            await asyncio.gather(*(redis.incr("count") for _ in range(20)))
            assert await redis.get("count") == "23"
            assert await redis.eval("return ARGV", args=["a", UNICODE]) == ["a", UNICODE]
            with pytest.raises(UpstashError, match="WRONGTYPE"):
                await redis.lpush("key", "x")

    asyncio.run(talk())


def test_a_write_changes_the_token_that_the_client_sends_along(endpoint: UpstashEndpoint) -> None:
    """The client keeps the sync token; writes change it, also in scripts, reads do not."""
    with _client(endpoint) as redis:
        seen = []
        for command in (["SET", "k", "1"], ["GET", "k"], ["EVAL", "return redis.call('DEL', 'k')", "0"]):
            redis.execute(command)
            seen.append(redis._sync_token)
    assert seen[0] == seen[1] != seen[2]
