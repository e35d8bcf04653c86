"""Requests per second and latencies under load: ``python -m bench.load [--json] [--check] [--tiny]``.

Real handlers behind the local gateway, over the engines of `make run`: Budgie, the same endpoints in the baseline
implementation (``bench.baseline.usual``), and constant responses, which show what gateway, network and client cost.
Each has its own process with the same gateway, token checks and log lines; they share the engines and are loaded in
turns. Two forms: reads of the latest 50 messages of one of 20 channels; and a mix of 90 such reads, 9 posts and 1 list.

Requests per second are medians over the rounds; the ratio to the baseline is the median of each round's ratio. One
process runs all containers, and Python computes in one thread at a time: with several clients, requests per second
show the CPU time of a request, and latencies the length of the queue. These containers also share one memory; on
Lambda each reads for itself what was posted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.util import find_spec
from itertools import cycle, islice, product
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.lib.chat import BASELINE_TABLE, PAGE, Chat
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import turns
from bench.lib.gateway import BASELINE, BUDGIE, FLOOR, running, serve_contender, serve_engines
from bench.lib.timing import percentile
from local import ports
from local.demo.client import Client
from local.dynamodb.engine import MINISTACK, default_engine
from local.tokens import KeyPair

MIX: Final = {"read": 90, "post": 9, "list": 1}
"""Per hundred requests."""
FORMS: Final = {"reads": {"read": 100}, "mix": MIX}
SEED: Final = 20261124
POOL: Final = 400
"""Different requests of a client, sent in a cycle."""
TIMES_THE_BASELINE: Final = 3.0
TIMEOUT_SECONDS: Final = 30.0
"""Without a response; then the benchmark fails."""
FOR_ALL: Final = {
    # No user of this load reaches a rate limit; no X-Ray daemon runs here.
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "POWERTOOLS_TRACE_DISABLED": "true",
}
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and with how many clients."""

    clients: Sequence[int]
    rounds: int
    seconds: float
    warm_up: float
    chat: Chat


FULL: Final = Plan((1, 16, 64), rounds=9, seconds=1.0, warm_up=0.2, chat=Chat())
TINY: Final = Plan((2,), rounds=1, seconds=0.1, warm_up=0.05, chat=Chat(channels=2, messages=75, users=2))


# --- Requests ---


@dataclass(frozen=True, slots=True)
class Request:
    """A request's bytes, and the expected status."""

    kind: str
    status: int
    content: bytes


def requests_of(chat: Chat, form: str, client: int, token: str) -> list[Request]:
    """A client's requests in one of ``FORMS``, from a seed, so that all contenders get the same."""
    random, texts = Random(f"{SEED} {client}"), (turn.text for turn in islice(turns(), client * 50, None))
    weights = [1 / rank for rank in range(1, chat.channels + 1)]
    found = []
    for kind in random.choices(list(FORMS[form]), list(FORMS[form].values()), k=POOL):
        path = f"/v1/channels/{random.choices(chat.channel_ids(), weights)[0]}/messages"
        if kind == "list":
            found.append(Request(kind, 200, _content("GET", "/v1/channels", token)))
        elif kind == "post":
            body = json.dumps({"text": next(texts)}).encode()
            found.append(Request(kind, 201, _content("POST", path, token, body)))
        else:
            found.append(Request(kind, 200, _content("GET", f"{path}?limit={PAGE}", token)))
    return found


def _content(method: str, target: str, token: str, body: bytes = b"") -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        "host: 127.0.0.1",
        "user-agent: bench",
        "accept: application/json",
        "accept-encoding: identity",
        f"authorization: Bearer {token}",
    ]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


# --- Clients, each with one connection ---


@dataclass(slots=True)
class Measured:
    """One contender's round under a number of clients.

    Attributes:
        seconds: How long the clients measured.
        latencies: Seconds of each measured request.
        errors: Unexpected statuses and broken connections; of all requests.
        answered: All responses, including those of the warm-up.
        cpu_seconds: Of the gateway's process, the handler's included.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per request."""
        return self.cpu_seconds * 1000 / max(1, self.answered)


async def drive(
    address: tuple[str, int], requests: Sequence[Sequence[Request]], seconds: float, warm_up: float
) -> Measured:
    """Loads a server with a client for each sequence of requests, which it sends in a cycle.

    Requests sent in the first ``warm_up`` seconds, or answered after the end, are not measured. The end is not before
    each client has had a response on average. All responses are awaited, so that the next server is not disturbed.
    """
    found, begin = Measured(), time.perf_counter() + warm_up

    async def client(sent: Iterator[Request]) -> None:
        reader, writer = await asyncio.open_connection(*address, limit=2**20)
        try:
            while not found.seconds:
                request, sent_at = next(sent), time.perf_counter()
                writer.write(request.content)
                status = await asyncio.wait_for(_response(reader), TIMEOUT_SECONDS)
                now = time.perf_counter()
                found.answered += 1
                if status != request.status:
                    found.errors[f"{request.kind}: {status}"] += 1
                if not found.seconds and sent_at >= begin:
                    found.latencies.append(now - sent_at)
                if now >= begin + seconds and len(found.latencies) >= len(requests) and not found.seconds:
                    found.seconds = now - begin
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            found.errors[type(error).__name__] += 1
        finally:
            writer.close()

    gc.collect()
    gc.disable()
    try:
        await asyncio.gather(*(client(cycle(each)) for each in requests))
    finally:
        gc.enable()
    found.seconds = found.seconds or seconds  # Every connection broke.
    return found


async def _response(reader: asyncio.StreamReader) -> int:
    """Reads a whole response; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        await reader.readexactly(int(length[1]))
    return int(head[9:12])


# --- Contenders ---

Rounds = dict[tuple[str, int, str], list[Measured]]
"""Rounds by form, number of clients and contender."""


def installed() -> list[str]:
    """The contenders that can run here; the baseline needs what `make bench-setup` installs."""
    return [BUDGIE, *([BASELINE] if find_spec("aws_xray_sdk") else []), FLOOR]


class Contest:
    """Contenders over the same engines; each of them has been read once.

    Args:
        gateways: pipes to the contenders' processes, by name.
        plan: how long, and with how many clients.
        tokens: the key that the gateways know.
    """

    def __init__(self, gateways: Mapping[str, Connection], plan: Plan, tokens: KeyPair) -> None:
        self._gateways, self._plan = gateways, plan
        self._token_for = cache(tokens.issue)
        self._ports = {name: int(gateway.recv()) for name, gateway in gateways.items()}
        for name in gateways:
            self._check(name)

    def _check(self, name: str) -> None:
        """Reads every channel and every user's list, to warm up, and compares them with the chat."""
        chat = self._plan.chat
        with Client(f"http://{ports.LOOPBACK}:{self._ports[name]}", self._token_for) as client:

            def read(path: str, user: str) -> Any:  # noqa: ANN401 - JSON
                response = client.call("GET", path, user)
                assert response.status == HTTPStatus.OK, f"{name}: {path}: {response.status}"
                return response.json

            for user in chat.user_ids():
                channels = read("/v1/channels", user)["channels"]
                assert name == FLOOR or len(channels) == chat.channels, f"{name}: {len(channels)} channels"
            for number, channel_id in enumerate(chat.channel_ids()):
                page = read(f"/v1/channels/{channel_id}/messages?limit={PAGE}", chat.user_ids()[0])
                texts = [message["text"] for message in page["messages"]]
                expected = [turn.text for turn in chat.turns(number)[-PAGE:]]
                assert name == FLOOR or texts == expected, f"{name}: another page"

    def run(self) -> Rounds:
        """All rounds, after one of each contender that is not counted; the order rotates."""
        names, found = list(self._gateways), Rounds()
        for name in names:
            self._round("mix", max(self._plan.clients), name)
        rounds = list(product(FORMS, self._plan.clients, range(self._plan.rounds), range(len(names))))
        for form, clients, number, i in progress(rounds, "rounds"):
            name = names[(number + i) % len(names)]
            found.setdefault((form, clients, name), []).append(self._round(form, clients, name))
        return found

    def _round(self, form: str, clients: int, name: str) -> Measured:
        plan, users = self._plan, self._plan.chat.user_ids()[:clients]
        requests = [requests_of(plan.chat, form, i, self._token_for(user)) for i, user in enumerate(users)]
        before, address = self._cpu_seconds(name), (ports.LOOPBACK, self._ports[name])
        measured = asyncio.run(drive(address, requests, plan.seconds, plan.warm_up))
        measured.cpu_seconds = self._cpu_seconds(name) - before
        return measured

    def _cpu_seconds(self, name: str) -> float:
        self._gateways[name].send(None)
        return float(self._gateways[name].recv())


@contextmanager
def opened(names: Sequence[str], plan: Plan, engine: str) -> Iterator[Contest]:
    """Runs the engines, fills them, and runs a gateway for each contender."""
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engines = running(serve_engines, as_on_lambda(os.environ), state, engine)
        environ: dict[str, str] = stack.enter_context(engines).recv()
        plan.chat.fill(environ["DYNAMODB_ENDPOINT_URL"])
        theirs = {"TABLE_NAME": BASELINE_TABLE, "AWS_ENDPOINT_URL_DYNAMODB": environ["DYNAMODB_ENDPOINT_URL"]}
        gateways = {
            name: stack.enter_context(
                running(serve_contender, environ | (theirs if name == BASELINE else {}), name, state)
            )
            for name in names
        }
        yield Contest(gateways, plan, KeyPair.load_or_create(state))


def as_on_lambda(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the developer's proxies and AWS settings, which clients would use."""
    theirs = [name for name in environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]
    return {name: value for name, value in environ.items() if name not in theirs} | FOR_ALL


# --- Results ---


def summed_up(plan: Plan, found: Rounds) -> dict[str, Any]:
    """The result of all rounds."""
    names = (BUDGIE, BASELINE, FLOOR)
    compared = [
        {"form": form, "clients": clients, **_compared(*(found[form, clients, name] for name in names))}
        for form, clients in product(FORMS, plan.clients)
        if (form, clients, BASELINE) in found
    ]
    return {
        "rounds": plan.rounds,
        "seconds_a_round": plan.seconds,
        "channels": plan.chat.channels,
        "mix_percent": MIX,
        "runs": [
            {"form": form, "clients": clients, "contender": name, **_run(rounds)}
            for (form, clients, name), rounds in found.items()
        ],
        "compared": compared,
        "errors": dict(sum((each.errors for rounds in found.values() for each in rounds), Counter[str]())),
    }


def _run(rounds: Sequence[Measured]) -> dict[str, Any]:
    """One contender's rounds; latencies are over all of them, the other figures are medians."""
    times = [seconds * 1000 for each in rounds for seconds in each.latencies]
    return {
        "requests": len(times),
        "requests_a_second": round(statistics.median(each.rate for each in rounds), 1),
        "p50_ms": round(statistics.median(times), 2) if times else None,
        "p99_ms": round(percentile(times, 99), 2) if times else None,
        "cpu_ms_a_request": round(statistics.median(each.cpu_ms for each in rounds), 3),
        "errors": sum(each.errors.total() for each in rounds),
    }


def _compared(*contenders: Sequence[Measured]) -> dict[str, float]:
    """Ratios of requests per second, and of CPU time without what the floor takes; medians over the rounds."""
    rounds = list(zip(*contenders, strict=True))
    times = [ours.rate / usual.rate for ours, usual, _ in rounds]
    less = [(usual.cpu_ms - floor.cpu_ms) / (ours.cpu_ms - floor.cpu_ms) for ours, usual, floor in rounds]
    return {
        "times_requests_a_second": round(statistics.median(times), 2),
        "times_less_cpu_beside_the_floor": round(statistics.median(less), 2),
    }


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The ratio of reads for each number of clients; and that nothing failed."""
    reads = [each for each in results["compared"] if each["form"] == "reads"]
    ratio = f"at least {TIMES_THE_BASELINE:g} times the baseline's requests a second"
    return {
        f"reads by {each['clients']} clients: {ratio}": each["times_requests_a_second"] >= TIMES_THE_BASELINE
        for each in reads
    } | {"the baseline is installed": bool(reads), "no request failed": not results["errors"]}


def main() -> int:
    """Runs the load test; with ``--check`` exits with 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args()
    plan, engine = (TINY, MINISTACK) if options.tiny else (FULL, default_engine())
    with opened(installed(), plan, engine) as contest:
        results = {"engine": engine} | summed_up(plan, contest.run())
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
