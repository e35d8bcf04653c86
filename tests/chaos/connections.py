"""Connections to Redis under load: `python -m tests.chaos.connections`.

Fifty containers serve a thousand clients, one request at a time each, as Lambda's do. Each has an endpoint of its own
before the one Redis, so that its connections are counted exactly; and its policy is to write at each request, so that
there is as much to connect for as there can be. The keep-alive, a minute in production, is cut to seconds.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.lib import command
from local.upstash import valkey
from local.upstash.endpoint import UpstashEndpoint
from shared.bootstrap import Services, compose
from shared.cache.pages import CachedLogReader
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.upstash import Upstash, UpstashOptions
from shared.domain.clock import now_ms
from shared.domain.messages import Draft, encode
from shared.domain.model import Entry, Head, Kind, Membership, Preview, Role
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.list_channels import Listing, list_channels

TOKEN: Final = "token-of-the-bench"
CHANNELS: Final = 20
MESSAGES: Final = 60
READS: Final = 3
"""Page loads of each client, after a list of channels."""
THINK_SECONDS: Final = 0.02
"""Before each page load, so that the command that the one before set off has a chance to end."""
SEED: Final = 3


class Chat:
    """Channels of one user, in memory, with posts all the time."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.channels = [f"{number:016d}" for number in range(CHANNELS)]
        for channel in self.channels:
            self.store.create_channel(
                Head(channel, Kind.PUBLIC, "lobby", "", "ada", now_ms()),
                [Membership("ada", channel, Role.OWNER, now_ms())],
            )
            for _ in range(MESSAGES):
                self.post(channel)

    def post(self, channel: str) -> None:
        """A message, from its JSON."""
        at = now_ms()
        taken = self.store.reserve(channel, 1, Preview(0, "ada", "Hello", at))
        assert taken is not None
        body = encode(channel, taken.seq, "ada", at, Draft("Hello " * 20))
        self.store.void(channel, [Entry(taken.seq, taken.seq, at, body)])


@dataclass
class Container:
    """One container, and the endpoint that it alone speaks to."""

    services: Services
    endpoint: UpstashEndpoint

    def serve(self, chat: Chat, seed: int) -> None:
        """One client's visit."""
        chooser = random.Random(seed)
        list_channels(self.services, "ada", Listing(50))
        for _ in range(READS):
            channel = chooser.choice(chat.channels)
            chat.post(channel)
            time.sleep(THINK_SECONDS)
            fetch_messages(self.services, "ada", channel, Window(50), frozenset())

    def settle(self) -> None:
        """Waits for what goes on in the background."""
        for tier in (self.services.pages, self.services.lists):
            assert isinstance(tier, RedisTier)
            tier.settle()


def container(endpoint: UpstashEndpoint, chat: Chat, keep_alive: float) -> Container:
    """As ``compose`` builds it, but for keep-alive, timeouts (this process is all of them) and policy."""
    built = compose(Settings(upstash_url=endpoint.url, upstash_token=TOKEN), chat.store)
    metrics = built.metrics
    options = UpstashOptions(endpoint.url, TOKEN, 5_000, 20_000, keep_alive_seconds=keep_alive)
    upstash = Upstash(options, metrics, now_ms)
    policy = BundlePolicy(min_new_entries=1, max_delay_ms=0, min_interval_ms=0)
    pages = RedisTier(upstash, "budgie:p1", "pages", policy, metrics, now_ms)
    lists = RedisTier(upstash, "budgie:u1", "channels", policy, metrics, now_ms)
    reader = CachedLogReader(DirectLogReader(chat.store), built.memory, pages, metrics)
    return Container(replace(built, pages=pages, lists=lists, upstash=upstash, reader=reader), endpoint)


@contextmanager
def fleet(size: int, chat: Chat, keep_alive: float) -> Iterator[list[Container]]:
    """So many containers before one Redis."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(valkey.running(directory))
        endpoints = [stack.enter_context(UpstashEndpoint(redis_port=port, token=TOKEN)) for _ in range(size)]
        containers = [container(each, chat, keep_alive) for each in endpoints]
        yield containers
        for each in containers:
            assert each.services.upstash is not None
            each.services.upstash.close()


def visit(containers: Sequence[Container], chat: Chat, clients: int) -> None:
    """Clients spread over the containers, all of which work at the same time, each on one request at a time."""

    def work(number: int) -> None:
        for client in range(number, clients, len(containers)):
            containers[number].serve(chat, SEED + client)
        containers[number].settle()

    with ThreadPoolExecutor(len(containers)) as pool:
        list(pool.map(work, range(len(containers))))


def open_connections(containers: Sequence[Container]) -> list[int]:
    """Of each container, now."""
    return [each.endpoint.usage.open_connections for each in containers]


def wait_idle(containers: Sequence[Container], seconds: float) -> float:
    """Seconds until no container holds a connection; gives up after a limit."""
    begun = time.monotonic()
    while any(open_connections(containers)) and time.monotonic() - begun < seconds:
        time.sleep(0.02)
    return time.monotonic() - begun


def measure(size: int, clients: int, keep_alive: float) -> dict[str, object]:
    """Loads the fleet, lets it rest, wakes it again."""
    chat = Chat()
    with fleet(size, chat, keep_alive) as containers:
        visit(containers, chat, clients)
        kept = open_connections(containers)
        idle_after = wait_idle(containers, keep_alive + 10)
        idle = open_connections(containers)
        visit(containers, chat, size)
        usages = [each.endpoint.usage for each in containers]
        failures = sum(each.services.metrics.snapshot()["redis_failures"] != {} for each in containers)
    return {
        "containers": size,
        "clients": clients,
        "requests": (clients + size) * (READS + 1),
        "redis_commands": sum(usage.commands for usage in usages),
        "containers_with_failures": failures,
        "peak_of_one_container": max(usage.peak_connections for usage in usages),
        "connected_containers": sum(usage.peak_connections > 0 for usage in usages),
        "kept_by_one_container": max(kept),
        "kept": sum(kept),
        "open_when_idle": sum(idle),
        "idle_after_seconds": round(idle_after, 2),
        "keep_alive_seconds": keep_alive,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and says whether the targets were met."""
    options = command.parser("connections to Redis of many containers").parse_args(arguments)
    # Long enough that no container is idle for so long while the load lasts, on a machine that is busy otherwise.
    size, clients, keep_alive = (5, 50, 1.0) if options.tiny else (50, 1_000, 5.0)
    if not options.json:
        print(f"{clients} clients, {size} containers …", flush=True)
    results = measure(size, clients, keep_alive)
    targets = {
        "every container spoke to Redis, without a failure": results["connected_containers"] == size
        and results["containers_with_failures"] == 0,
        "never more than one connection a container at once": results["peak_of_one_container"] == 1,
        "at most one kept by an idle container": results["kept_by_one_container"] in {0, 1},
        "none after the keep-alive": results["open_when_idle"] == 0,
    }
    names = max(len(name) for name in results)
    text = "\n".join(f"{name:<{names}}  {value}" for name, value in results.items())
    return command.finish(options, {"bench": "connections", **results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
