"""Starts the processes, and loads the contenders by turns."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import boto3

from bench.load.client import Lap, drive
from bench.load.scene import BUDGIE, FLOOR, USUAL, USUAL_TABLE, Asking, Scene, cursor, fill
from bench.one_page import PAGE
from local import dynamodb, ports
from local.client import Client
from local.tokens import KeyPair

ROOT: Final = Path(__file__).resolve().parents[2]
FOR_ALL: Final = {
    # No user of this load is one that a chat would slow down; no X-Ray daemon runs here.
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "POWERTOOLS_TRACE_DISABLED": "true",
    # Powertools' metrics are one set a process, so that of several requests at a time one finds it empty, and warns.
    "PYTHONWARNINGS": "ignore::UserWarning",
}
FORMS: Final = ("reads", "mix")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and with how many clients."""

    clients: Sequence[int]
    rounds: int
    seconds: float
    warm_up: float
    scene: Scene


FULL: Final = Plan(clients=(1, 16, 64), rounds=9, seconds=1.0, warm_up=0.2, scene=Scene())
TINY: Final = Plan(
    clients=(2,), rounds=1, seconds=0.1, warm_up=0.05, scene=Scene(channels=2, messages=75, users=2)
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contender did in one round under so many clients."""

    form: str
    clients: int
    contender: str
    lap: Lap
    cpu_seconds: float


def installed() -> list[str]:
    """The contenders that can run here; the usual way needs what `make bench-setup` installs."""
    return [BUDGIE, *([USUAL] if find_spec("aws_xray_sdk") else []), FLOOR]


class Process:
    """One of ``bench.load.server``; it ends when its input does, also if we are killed."""

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it end, and wait for that."""
        _pipe(self._popen.stdin).close()
        try:
            self._popen.wait(60)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        _pipe(self._popen.stdout).close()


def start(arguments: Sequence[str], environ: Mapping[str, str]) -> Process:
    """Start a process of ``bench.load.server``."""
    command = [sys.executable, "-m", "bench.load.server", *arguments]
    return Process(
        subprocess.Popen(  # noqa: S603 - our own
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


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
        self._gateways = gateways
        self._plan = plan
        self._token_for = cache(tokens.issue)
        self._ports = {name: int(gateway.hear()["port"]) for name, gateway in gateways.items()}
        self._page_bytes = dict.fromkeys(gateways, 0.0)
        self._asking = {
            name: Asking(plan.scene, self._cursors(name), self._token_for, accept_encoding)
            for name in gateways
        }

    @property
    def page_bytes(self) -> dict[str, float]:
        """Bytes of a page on average, uncompressed, by contender."""
        return self._page_bytes

    def _cursors(self, name: str) -> dict[str, str]:
        """Reads every channel and everybody's list, so that all is warm; what names each channel's older page."""
        scene, cursors = self._plan.scene, {}
        users = scene.user_ids()
        with Client(f"http://{ports.LOOPBACK}:{self._ports[name]}", self._token_for) as client:
            for user in users:
                listed = json.loads(_read(client, "/v1/channels", user))["channels"]
                assert name == FLOOR or len(listed) == scene.channels, f"{name}: {len(listed)} channels"
            for number, channel_id in enumerate(scene.channel_ids()):
                body = _read(client, f"/v1/channels/{channel_id}/messages?limit={PAGE}", users[0])
                cursors[channel_id] = cursor(name, json.loads(body), scene, number)
                self._page_bytes[name] += len(body) / scene.channels
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
    answer = client.call("GET", path, user)
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"{path}: {answer.status}")
    return answer.body


@contextlib.contextmanager
def opened(names: Sequence[str], plan: Plan, engine: str, accept_encoding: str) -> Iterator[Contest]:
    """Engines with everything in them, and a gateway for each contender, until the end of the `with` block."""
    with contextlib.ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engines = stack.enter_context(start(["engines", str(state), engine], _as_on_lambda(os.environ)))
        environ = engines.hear()
        _fill(plan.scene, environ)
        gateways = {
            name: stack.enter_context(start([name, str(state)], environ | _variables(name, environ)))
            for name in names
        }
        yield Contest(gateways, plan, KeyPair.load_or_create(state), accept_encoding)


def _as_on_lambda(environ: Mapping[str, str]) -> dict[str, str]:
    """Without the developer's proxies and accounts, which would choose other ways through everybody's clients."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    return kept | FOR_ALL


def _variables(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The usual way's table, and its engine by boto3's own variable."""
    if name != USUAL:
        return {}
    return {"TABLE_NAME": USUAL_TABLE, "AWS_ENDPOINT_URL_DYNAMODB": environ["DYNAMODB_ENDPOINT_URL"]}


def _fill(scene: Scene, environ: Mapping[str, str]) -> None:
    url = environ["DYNAMODB_ENDPOINT_URL"]
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=url,
        region_name=environ["AWS_REGION"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
    )
    with (
        contextlib.closing(dynamodb.client(url, environ)) as client,
        contextlib.closing(resource.meta.client),
    ):
        fill(scene, client, resource)
