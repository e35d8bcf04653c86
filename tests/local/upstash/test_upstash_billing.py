"""Commands are counted as Upstash bills them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
import upstash_redis

from local.upstash.endpoint import UpstashEndpoint
from tests.endpoint import TOKEN

pytestmark = pytest.mark.stack


@pytest.fixture
def redis(endpoint: UpstashEndpoint) -> Iterator[upstash_redis.Redis]:
    """A client on an empty database, with nothing counted yet."""
    with upstash_redis.Redis(endpoint.url, TOKEN, rest_retries=0) as client:
        client.flushdb()
        endpoint.reset_usage()
        yield client


def test_one_command_is_one_whatever_its_keys(endpoint: UpstashEndpoint, redis: upstash_redis.Redis) -> None:
    """MGET of many keys and SET with an expiry are one command each; PING and INFO are free."""
    redis.mget("a", "b", "c")
    redis.set("a", "1", ex=5)
    redis.ping()
    redis.execute(["INFO", "server"])
    assert endpoint.usage.commands == 2
    assert endpoint.usage.requests == 4
    assert endpoint.usage.by_command == {"MGET": 1, "SET": 1, "PING": 1, "INFO": 1}


def test_asking_what_commands_there_are_is_free(
    endpoint: UpstashEndpoint, redis: upstash_redis.Redis
) -> None:
    """COMMAND and its subcommands are counted as runs, but not billed."""
    redis.execute(["COMMAND", "COUNT"])
    assert endpoint.usage.commands == 0
    assert endpoint.usage.by_command == {"COMMAND": 1}


def test_each_command_of_a_batch_is_one(endpoint: UpstashEndpoint, redis: upstash_redis.Redis) -> None:
    """Pipelines and transactions bill each of their commands, as one request."""
    for batch in (redis.pipeline(), redis.multi()):
        batch.set("a", "1")
        batch.get("a")
        batch.ping()
        batch.exec()
    assert endpoint.usage.commands == 4
    assert endpoint.usage.requests == 2


def test_what_a_script_runs_inside_counts(endpoint: UpstashEndpoint, redis: upstash_redis.Redis) -> None:
    """EVAL is billed as one, plus each command that it ran, also in a pipeline or transaction."""
    script = "for i = 1, 3 do redis.call('INCR', 'n') end redis.pcall('LPUSH', 'n', 1) return redis.call('GET', 'n')"
    redis.eval(script)
    assert endpoint.usage.by_command == {"EVAL": 1, "INCR": 3, "LPUSH": 1, "GET": 1}
    endpoint.reset_usage()
    for batch in (redis.pipeline(), redis.multi()):
        batch.eval(script)
        batch.set("n", "0")
        batch.exec()
    assert endpoint.usage.commands == 14


def test_scripts_are_counted_alone_while_others_run(
    endpoint: UpstashEndpoint, redis: upstash_redis.Redis
) -> None:
    """Concurrent commands of others are never counted as a script's."""

    def talk(command: list[Any]) -> None:
        with upstash_redis.Redis(endpoint.url, TOKEN, rest_retries=0) as own:
            for _ in range(25):
                own.execute(command)

    redis.ping()
    script = ["EVAL", "redis.call('SET', 'a', 1) return redis.call('GET', 'a')", 0]
    threads = [
        threading.Thread(target=talk, args=(c,)) for c in (script, ["GET", "a"], script, ["SET", "a", 1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endpoint.usage.by_command == {"PING": 1, "EVAL": 50, "SET": 75, "GET": 75}
    assert endpoint.usage.peak_connections >= 2


def test_refused_commands_are_not_billed(endpoint: UpstashEndpoint, redis: upstash_redis.Redis) -> None:
    """Refused commands are not billed."""
    pipeline = redis.pipeline()
    pipeline.execute(["WATCH", "a"])
    with pytest.raises(upstash_redis.errors.UpstashError):
        pipeline.exec()
    assert endpoint.usage.commands == 0


def test_usage_over_http(endpoint: UpstashEndpoint, redis: upstash_redis.Redis) -> None:
    """Another process reads and resets the figures, which is not counted; bodies are counted in bytes."""
    redis.set("a", "x" * 1000)
    redis.get("a")
    connection = HTTPConnection(endpoint.url.removeprefix("http://"), timeout=5)
    connection.request("GET", "/-/usage", headers={"Authorization": f"Bearer {TOKEN}"})
    usage = json.loads(connection.getresponse().read())
    assert (usage["commands"], usage["requests"]) == (2, 2)
    assert 1000 < usage["bytes_in"] < 1100
    assert 1333 < usage["bytes_out"] < 1400
    connection.request("DELETE", "/-/usage", headers={"Authorization": f"Bearer {TOKEN}"})
    connection.getresponse().read()
    connection.close()
    assert endpoint.usage.commands == 0


def test_runs_alone_as_a_command(endpoint: UpstashEndpoint) -> None:
    """`python -m local.upstash.endpoint` prints its URL, serves, and ends on a signal."""
    redis_port = str(endpoint.redis_port)
    argv = [
        sys.executable,
        "-m",
        "local.upstash.endpoint",
        "--port",
        "0",
        "--redis-port",
        redis_port,
        "--token",
        TOKEN,
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own argv
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            with upstash_redis.Redis(url, TOKEN, rest_retries=0) as redis:
                assert redis.ping() == "PONG"
        finally:
            process.terminate()
    assert process.returncode != 0
