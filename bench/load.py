"""Requests a second and latencies under load: ``python -m bench.load [--json] [--check] [--tiny]``.

Real handlers behind the local gateway, over the engines of `make run`: Budgie; the same endpoints written the usual way
(``bench.baseline.usual``); and constant answers, which show what gateway, wire and client cost both. Each has a process
of its own with the same gateway, token checks and log lines; they share the engines, and are loaded by turns. Two
forms: reads of pages of 50 messages, nearly all of the latest page of one of 20 channels; and 90 such reads to 9 posts
and 1 list.

Requests a second are medians over the rounds, how many times the usual way's is the median of what each round shows.
One process plays all containers here and Python computes in one thread at a time, so with several clients requests a
second say how much processor time a request takes, and latencies how long the queue is. These containers also share
one memory: on Lambda each of them reads for itself what was posted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import IO, Any, Final
from urllib.parse import quote

from bench.lib.chat import PAGE, USUAL_TABLE, Chat
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import turns as spoken
from bench.lib.functions import ROOT
from bench.lib.gateway import BUDGIE, FLOOR, USUAL
from bench.lib.timing import percentile
from local import ports
from local.demo.client import Client
from local.demo.conversations import Turn as Said
from local.dynamodb.engine import ENGINES, default_engine
from local.tokens import KeyPair

FORMS: Final = ("reads", "mix")
MIX: Final = {"read": 90, "post": 9, "list": 1}
"""Of a hundred requests."""
OLDER: Final = 0.05
"""Of the reads: those of the page before the latest one."""
SEED: Final = 20261124
POOL: Final = 400
"""Requests that a client has in hand; then it begins again."""
TIMES_THE_USUAL: Final = 3.0
SILENCE: Final = 30.0
"""Seconds without an answer after which the load is given up."""
FOR_ALL: Final = {
    # No user of this load is one that a chat would slow down; no X-Ray daemon runs here.
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "POWERTOOLS_TRACE_DISABLED": "true",
    # Powertools' metrics are one set a process, so that of several requests at a time one finds it empty, and warns.
    "PYTHONWARNINGS": "ignore::UserWarning",
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


FULL: Final = Plan(clients=(1, 16, 64), rounds=9, seconds=1.0, warm_up=0.2, chat=Chat())
TINY: Final = Plan(
    clients=(2,), rounds=1, seconds=0.1, warm_up=0.05, chat=Chat(channels=2, messages=75, users=2)
)


# --- What is asked ---


@dataclass(frozen=True, slots=True)
class Request:
    """A request's bytes, and the status that its answer must have."""

    kind: str
    status: int
    content: bytes


class Asking:
    """Makes clients' requests: seeded, so that all contenders are asked the same.

    Args:
        chat: whose channels and people.
        cursors: by channel, what names the page before the latest one.
        tokens: a user's bearer token.
        accept_encoding: what every request says that it accepts.
    """

    def __init__(
        self, chat: Chat, cursors: Mapping[str, str], tokens: Callable[[str], str], accept_encoding: str
    ) -> None:
        self._chat, self._cursors, self._tokens = chat, cursors, tokens
        self._accept_encoding = accept_encoding
        self._weights = [1 / rank for rank in range(1, chat.channels + 1)]

    def requests(self, form: str, client: int) -> list[Request]:
        """What a client sends: ``reads`` alone, or the ``mix``."""
        random, words = Random(f"{SEED} {client}"), islice(spoken(), client * 50, None)
        user = self._chat.user_ids()[client]
        return [self._request(form, user, random, words) for _ in range(POOL)]

    def _request(self, form: str, user: str, random: Random, words: Iterator[Said]) -> Request:
        kind = "read" if form == "reads" else random.choices(list(MIX), list(MIX.values()))[0]
        if kind == "list":
            return Request(kind, 200, self._content("GET", "/v1/channels", user))
        channel_id = random.choices(self._chat.channel_ids(), self._weights)[0]
        path = f"/v1/channels/{channel_id}/messages"
        if kind == "post":
            body = json.dumps({"text": next(words).text}).encode()
            return Request(kind, 201, self._content("POST", path, user, body))
        older = f"&before={quote(self._cursors[channel_id])}" if random.random() < OLDER else ""
        return Request(kind, 200, self._content("GET", f"{path}?limit={PAGE}{older}", user))

    def _content(self, method: str, target: str, user: str, body: bytes = b"") -> bytes:
        lines = [
            f"{method} {target} HTTP/1.1",
            "host: 127.0.0.1",
            "user-agent: bench",
            "accept: application/json",
            f"accept-encoding: {self._accept_encoding}",
            f"authorization: Bearer {self._tokens(user)}",
        ]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


def cursor(contender: str, page: Mapping[str, Any], chat: Chat, number: int) -> str:
    """What names the page before the latest one of a channel, whose words this one must have."""
    if contender == FLOOR:
        return "1"
    said = [turn.text for turn in chat.turns(number)[-PAGE:]]
    assert [message["text"] for message in page["messages"]] == said, f"{contender}: another page"
    return str(page["first_seq" if contender == BUDGIE else "next_before"])


# --- Clients, each with one connection ---


@dataclass(slots=True)
class Lap:
    """What came of a time of load.

    Attributes:
        seconds: How long it was measured.
        latencies: Seconds of each request, by its kind.
        errors: Answers with another status than they must have, and broken connections; of all requests.
        answered: All requests that were answered, also while it warmed up.
        received: Bytes of their answers.
    """

    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    received: int = 0

    @property
    def all(self) -> list[float]:
        """The latencies of all kinds."""
        return [each for some in self.latencies.values() for each in some]


def drive(
    address: tuple[str, int], requests: Sequence[Sequence[Request]], seconds: float, warm_up: float
) -> Lap:
    """Loads a server: a client for each sequence of requests, which it goes through again and again.

    What was sent in the first ``warm_up`` seconds, or is answered after the time is up, is not counted. The time is not
    up before each client has had an answer on average. All answers are waited for, so that the next server is not
    disturbed.
    """
    gc.collect()
    gc.disable()
    try:
        return asyncio.run(_drive(address, requests, seconds, warm_up))
    finally:
        gc.enable()


async def _drive(
    address: tuple[str, int], requests: Sequence[Sequence[Request]], seconds: float, warm_up: float
) -> Lap:
    lap, counted, begin = Lap(), 0, time.perf_counter() + warm_up

    async def client(sent: Iterator[Request]) -> None:
        nonlocal counted
        reader, writer = await asyncio.open_connection(*address, limit=2**20)
        try:
            while not lap.seconds:
                request, sent_at = next(sent), time.perf_counter()
                writer.write(request.content)
                status, size = await asyncio.wait_for(_answer(reader), SILENCE)
                now = time.perf_counter()
                lap.answered += 1
                lap.received += size
                if status != request.status:
                    lap.errors[f"{request.kind}: {status}"] += 1
                if not lap.seconds and sent_at >= begin:
                    counted += 1
                    lap.latencies.setdefault(request.kind, []).append(now - sent_at)
                if not lap.seconds and now >= begin + seconds and counted >= len(requests):
                    lap.seconds = now - begin
        except (OSError, asyncio.IncompleteReadError) as error:
            if isinstance(error, TimeoutError):
                raise
            lap.errors[type(error).__name__] += 1
        finally:
            writer.close()

    await asyncio.gather(*(client(cycle(each)) for each in requests))
    # Where every connection broke, what there was is all that there is.
    lap.seconds = lap.seconds or seconds
    return lap


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """An answer's status, and its bytes in all."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return int(head[9:12]), len(head) + len(body)


# --- The contest ---


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contender did in one round under so many clients."""

    form: str
    clients: int
    contender: str
    lap: Lap
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.lap.all) / self.lap.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time that a request takes in the gateway's process: its own and the handler's."""
        return self.cpu_seconds * 1000 / max(1, self.lap.answered)


def installed() -> list[str]:
    """The contenders that can run here; the usual way needs what `make bench-setup` installs."""
    return [BUDGIE, *([USUAL] if find_spec("aws_xray_sdk") else []), FLOOR]


class Process:
    """One of ``bench.lib.gateway``; it ends when its input does, also if we are killed."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen

    def hear(self) -> dict[str, Any]:
        """What it says next.

        Raises:
            RuntimeError: it has ended.
        """
        line = _pipe(self._popen.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._popen.args!r} ended with {self._popen.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far."""
        print(file=_pipe(self._popen.stdin), flush=True)
        return float(self.hear()["cpu_seconds"])


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextlib.contextmanager
def started(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[Process]:
    """A process of ``bench.lib.gateway``, ended with this context."""
    command = [sys.executable, "-m", "bench.lib.gateway", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own
        command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as popen:
        try:
            yield Process(popen)
        finally:
            _pipe(popen.stdin).close()
            try:
                popen.wait(60)
            except subprocess.TimeoutExpired:
                popen.kill()


class Contest:
    """Contenders before the same engines, each of them read once.

    Args:
        gateways: where each contender is, by name.
        plan: how long, and with how many clients.
        tokens: the key that the gateways know.
        accept_encoding: what requests say that they accept.
    """

    def __init__(
        self, gateways: Mapping[str, Process], plan: Plan, tokens: KeyPair, accept_encoding: str
    ) -> None:
        self._gateways, self._plan = gateways, plan
        self._token_for = cache(tokens.issue)
        self._ports = {name: int(gateway.hear()["port"]) for name, gateway in gateways.items()}
        self.page_bytes = dict.fromkeys(gateways, 0.0)
        """Of a page on average, uncompressed, by contender."""
        self._asking = {
            name: Asking(plan.chat, self._cursors(name), self._token_for, accept_encoding)
            for name in gateways
        }

    def _cursors(self, name: str) -> dict[str, str]:
        """Reads every channel and everybody's list, so that all is warm; what names each channel's older page."""
        chat, cursors = self._plan.chat, {}
        users = chat.user_ids()
        with Client(f"http://{ports.LOOPBACK}:{self._ports[name]}", self._token_for) as client:
            for user in users:
                listed = json.loads(_read(client, "/v1/channels", user))["channels"]
                assert name == FLOOR or len(listed) == chat.channels, f"{name}: {len(listed)} channels"
            for number, channel_id in enumerate(chat.channel_ids()):
                body = _read(client, f"/v1/channels/{channel_id}/messages?limit={PAGE}", users[0])
                cursors[channel_id] = cursor(name, json.loads(body), chat, number)
                self.page_bytes[name] += len(body) / chat.channels
        return cursors

    def run(self) -> Iterator[Turn]:
        """All turns, after one of each that is not counted; who begins changes from round to round."""
        names = list(self._gateways)
        for name in names:
            self._turn("mix", max(self._plan.clients), name)
        for form in FORMS:
            for clients in self._plan.clients:
                for number in range(self._plan.rounds):
                    for i in range(len(names)):
                        yield self._turn(form, clients, names[(number + i) % len(names)])

    def _turn(self, form: str, clients: int, name: str) -> Turn:
        requests = [self._asking[name].requests(form, client) for client in range(clients)]
        gateway, plan = self._gateways[name], self._plan
        before = gateway.cpu_seconds()
        lap = drive((ports.LOOPBACK, self._ports[name]), requests, plan.seconds, plan.warm_up)
        return Turn(form, clients, name, lap, gateway.cpu_seconds() - before)


def _read(client: Client, path: str, user: str) -> bytes:
    response = client.call("GET", path, user)
    if response.status != HTTPStatus.OK:
        raise RuntimeError(f"{path}: {response.status}")
    return response.body


@contextlib.contextmanager
def opened(names: Sequence[str], plan: Plan, engine: str, accept_encoding: str) -> Iterator[Contest]:
    """Engines with everything in them, and a gateway for each contender, until the end of the `with` block."""
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        environ = stack.enter_context(started(["engines", state, engine], as_on_lambda(os.environ))).hear()
        plan.chat.fill(environ["DYNAMODB_ENDPOINT_URL"])
        theirs = {"TABLE_NAME": USUAL_TABLE, "AWS_ENDPOINT_URL_DYNAMODB": environ["DYNAMODB_ENDPOINT_URL"]}
        gateways = {
            name: stack.enter_context(started([name, state], environ | (theirs if name == USUAL else {})))
            for name in names
        }
        yield Contest(gateways, plan, KeyPair.load_or_create(Path(state)), accept_encoding)


def as_on_lambda(environ: Mapping[str, str]) -> dict[str, str]:
    """Without the developer's proxies and accounts, which would choose other ways through everybody's clients."""
    theirs = [name for name in environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]
    return {name: value for name, value in environ.items() if name not in theirs} | FOR_ALL


# --- What it comes to ---


def summed_up(plan: Plan, names: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    """Everything that was measured."""
    runs, compared = [], []
    for form in FORMS:
        for clients in plan.clients:
            cell = {"form": form, "clients": clients}
            of = {
                name: [t for t in turns if (t.form, t.clients, t.contender) == (form, clients, name)]
                for name in names
            }
            runs += [{**cell, "contender": name, **_run(each)} for name, each in of.items()]
            compared += [{**cell, **_compared(of)}] if USUAL in of else []
    return {
        "contenders": list(names),
        "rounds": plan.rounds,
        "seconds_a_round": plan.seconds,
        "channels": plan.chat.channels,
        "mix_percent": MIX,
        "older_pages_of_reads": OLDER,
        "runs": runs,
        "compared": compared,
        "errors": dict(sum((turn.lap.errors for turn in turns), Counter[str]())),
    }


def _run(rounds: Sequence[Turn]) -> dict[str, Any]:
    """One contender under so many clients. Requests a second and processor time are medians over the rounds."""
    rates = [round(turn.rate, 1) for turn in rounds]
    answered = max(1, sum(turn.lap.answered for turn in rounds))
    return {
        "requests_a_second": statistics.median(rates),
        "requests_a_second_by_round": rates,
        **_latencies([turn.lap.all for turn in rounds]),
        "by_kind": {kind: _latencies([turn.lap.latencies.get(kind, []) for turn in rounds]) for kind in MIX},
        "cpu_ms_a_request": round(statistics.median(turn.cpu_ms for turn in rounds), 3),
        "bytes_an_answer": round(sum(turn.lap.received for turn in rounds) / answered),
        "errors": sum(turn.lap.errors.total() for turn in rounds),
    }


def _latencies(rounds: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """Over all requests of all rounds; none where there was none."""
    times = [seconds * 1000 for each in rounds for seconds in each]
    return {
        "requests": len(times),
        "p50_ms": round(statistics.median(times), 2) if times else None,
        "p99_ms": round(percentile(times, 99), 2) if times else None,
    }


def _compared(of: Mapping[str, Sequence[Turn]]) -> dict[str, float]:
    """How many times the usual way's requests a second ours answers, and its handler's processor time ours saves."""
    rounds = list(zip(of[BUDGIE], of[USUAL], of[FLOOR], strict=True))
    times = [ours.rate / usual.rate for ours, usual, _ in rounds]
    less = [(usual.cpu_ms - floor.cpu_ms) / (ours.cpu_ms - floor.cpu_ms) for ours, usual, floor in rounds]
    return {
        "times_requests_a_second": round(statistics.median(times), 2),
        "times_less_cpu_beside_the_floor": round(statistics.median(less), 2),
    }


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """Reads for each number of clients; and that it was a fair contest."""
    reads = [each for each in results["compared"] if each["form"] == "reads"]
    asked = f"at least {TIMES_THE_USUAL:g} times the usual way's requests a second"
    return {
        f"reads by {each['clients']} clients: {asked}": each["times_requests_a_second"] >= TIMES_THE_USUAL
        for each in reads
    } | {"the usual way is installed": bool(reads), "no request failed": not results["errors"]}


def main() -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--engine", choices=ENGINES, default=default_engine(), help="default: %(default)s")
    arguments.add_argument("--accept-encoding", default="identity", help="of clients; default: %(default)s")
    options = arguments.parse_args()
    plan, names = TINY if options.tiny else FULL, installed()
    with opened(names, plan, options.engine, options.accept_encoding) as contest:
        total = len(FORMS) * len(plan.clients) * plan.rounds * len(names)
        turns = list(progress(contest.run(), "turns", total))
        page_bytes = {name: round(size) for name, size in contest.page_bytes.items()}
    said = {"engine": options.engine, "accept_encoding": options.accept_encoding, "page_bytes": page_bytes}
    results = said | summed_up(plan, names, turns)
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
