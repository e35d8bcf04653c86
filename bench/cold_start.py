"""From a container's start to its first answer: ``python -m bench.cold_start [--json] [--check]``.

Each function's artifact runs under AWS's runtime client, over real engines, so that its first call of DynamoDB (and of
Redis, where it uses it) is part of it. Held against a bare handler, a FastAPI hello under Mangum, and the same endpoint
written the usual way (``bench.baseline.usual``), with bytecode and as it is usually shipped, without. All by turns;
medians of the milliseconds on the clock and of the processor.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar, Final

from bench.lib.chat import PAGE, USUAL_TABLE, Chat
from bench.lib.command import finish, parser, progress
from bench.lib.functions import ROOT, Ask, event
from local import ports
from local.dynamodb import engine as dynamodb
from local.settings import LocalSettings
from local.stack import Stack
from tools import artifacts
from tools.artifacts import LOCAL, PythonMissingError, Target, python_version

WORK: Final = ROOT / ".local/bench/cold"
RUNS: Final = 15
BARE, HELLO, USUAL, SHIPPED = "bare", "fastapi hello", "usual", "usual, as shipped"
FUNCTIONS: Final = tuple(sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py")))
PEERS: Final = ("fetch_messages", "list_channels", "post_message")
"""Functions whose endpoint the usual way has too."""
TARGETS: Final = {
    "of_floor": (1.35, "a FastAPI hello"),
    "of_peer": (0.6, "the usual way with bytecode"),
    "of_peer_as_shipped": (0.3, "the usual way as it is shipped"),
}
CHAT: Final = Chat(channels=5, messages=PAGE + 10, users=2)
SECONDS: Final = 60
"""That a container may take."""
NEXT: Final = "/2018-06-01/runtime/invocation/next"
INVOCATION: Final = {
    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:bench",
    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
    "Content-Type": "application/json",
}


@dataclass(frozen=True, slots=True)
class Contender:
    """What is started: a folder as Lambda unpacks it, and the event that it gets."""

    name: str
    artifact: Path
    handler: str
    event: dict[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """One start: milliseconds until the answer, on the clock and of the processor."""

    wall_ms: float
    cpu_ms: float


# --- Lambda ---


class NoAnswerError(RuntimeError):
    """A container did not answer as it should; the text says what it wrote."""


class Lambda:
    """The part of Lambda that a container sees: one event each, then nothing more."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self._event = b""
        self._answered = Event()
        self._answer: Any = None
        self._at = 0.0
        self.port = 0

    def start(self, contender: Contender) -> Start:
        """Starts a container, waits for its answer, and ends it.

        Raises:
            NoAnswerError: it answered with anything but 200 or 201, or not at all.
        """
        self._event, self._answer = json.dumps(contender.event).encode(), None
        self._answered.clear()
        with tempfile.TemporaryFile() as said:
            began = time.perf_counter()
            process = subprocess.Popen(  # noqa: S603 - a command of our own making
                [str(self._python), "-m", "awslambdaric", contender.handler],
                env=self._environment(contender),
                cwd=contender.artifact,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            self._answered.wait(SECONDS)
            process.send_signal(signal.SIGKILL)
            _, _, used = os.wait4(process.pid, 0)
            process.returncode = -signal.SIGKILL
            if not isinstance(self._answer, dict) or self._answer.get("statusCode") not in {200, 201}:
                said.seek(0)
                wrote = said.read().decode(errors="replace")[-3000:]
                raise NoAnswerError(f"{contender.name}: {self._answer}\n{wrote}")
        return Start((self._at - began) * 1000, (used.ru_utime + used.ru_stime) * 1000)

    def next(self) -> bytes | None:
        """The event; None after the first time, when a container waits for more."""
        event, self._event = self._event, b""
        return event or None

    def take(self, response: bytes) -> None:
        """The container's answer."""
        if not self._answered.is_set():
            self._at = time.perf_counter()
            self._answer = json.loads(response)
            self._answered.set()

    def _environment(self, contender: Contender) -> dict[str, str]:
        """As Lambda sets it; nothing of this process but where programs are."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(contender.artifact),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(contender.artifact),
            "AWS_LAMBDA_RUNTIME_API": f"{ports.LOOPBACK}:{self.port}",
            "AWS_LAMBDA_FUNCTION_NAME": contender.name.replace(" ", "-"),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            **contender.variables,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    runtime: ClassVar[Lambda]

    def do_GET(self) -> None:
        """The next event."""
        event = self.runtime.next() if self.path == NEXT else None
        if event is None:
            time.sleep(SECONDS)  # Its container is ended meanwhile.
            return
        deadline = {"Lambda-Runtime-Deadline-Ms": str(round((time.time() + SECONDS) * 1000))}
        self._send(200, INVOCATION | deadline, event)

    def do_POST(self) -> None:
        """An answer, or why there is none."""
        self.runtime.take(self.rfile.read(int(self.headers["content-length"])))
        self._send(202, {}, b"")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Says nothing."""


@contextmanager
def runtime(python: Path) -> Iterator[Lambda]:
    """Lambda, for containers of a Python that has its runtime client."""
    made = Lambda(python)
    server = ThreadingHTTPServer((ports.LOOPBACK, 0), type("Handler", (_Handler,), {"runtime": made}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # containers are ended in the middle
    server.block_on_close = False
    made.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- Contenders ---


def lambda_python() -> str:
    """Python as Lambda has it, if there is one here; else this one."""
    try:
        return artifacts.find_python(os.environ)
    except PythonMissingError:
        return sys.executable


def runtime_python(python: str) -> Path:
    """The interpreter of an environment with what Lambda's runtime brings, with bytecode as there."""
    folder = WORK / "runtime"
    made = folder / "bin/python"
    if not made.exists():
        uv, requirements = str(Path(sys.executable).with_name("uv")), str(ROOT / "requirements/rie.txt")
        lib = str(folder / "lib")
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", python, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(made), "--require-hashes", "-r", requirements],
            [str(made), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", lib],
        ):
            subprocess.run(command, check=True)  # noqa: S603 - a command of our own making
    return made


def contenders(python: str, variables: Mapping[str, str]) -> Iterator[Contender]:
    """All of them, built as folders that Lambda would unpack.

    Args:
        python: what compiles and runs them.
        variables: of the engines, as our functions read them.
    """
    target, events = Target(LOCAL, python), _events()
    floors = {f"{name}.py": f"bench/baseline/{name}.py" for name in ("bare", "hello")}
    floor = _plain("floor", "artifact", floors, target)
    yield Contender(BARE, floor, "bare.handler", events["list_channels"])
    yield Contender(HELLO, floor, "hello.handler", events["list_channels"])
    usual = _plain("usual", "usual", {"usual.py": "bench/baseline/usual.py"}, target)
    theirs = dict(variables) | {
        "TABLE_NAME": USUAL_TABLE,
        "AWS_ENDPOINT_URL_DYNAMODB": variables["DYNAMODB_ENDPOINT_URL"],
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    shipped = WORK / "shipped"
    shutil.rmtree(shipped, ignore_errors=True)
    shutil.copytree(usual, shipped, ignore=shutil.ignore_patterns("__pycache__"))
    for function in PEERS:
        yield Contender(f"{USUAL} {function}", usual, "usual.handler", events[function], theirs)
    yield Contender(f"{SHIPPED} fetch_messages", shipped, "usual.handler", events["fetch_messages"], theirs)
    for function in FUNCTIONS:
        artifact = WORK / function
        artifacts.build(function, artifact, target)
        handler = f"functions.{function}.handler.handler"
        yield Contender(function, artifact, handler, events[function], variables)


def _plain(name: str, requirements: str, files: Mapping[str, str], target: Target) -> Path:
    directory = WORK / name
    artifacts.assemble(requirements, {place: ROOT / file for place, file in files.items()}, directory, target)
    return directory


def _events() -> dict[str, dict[str, Any]]:
    """One for each function, which calls DynamoDB."""
    user, channel = CHAT.user_ids()[0], f"/v1/channels/{CHAT.channel_ids()[0]}"
    asked = {
        "check_health": Ask("GET", "/v1/healthz?deep=1", user),
        "fetch_messages": Ask("GET", f"{channel}/messages?limit={PAGE}", user),
        "list_channels": Ask("GET", "/v1/channels", user),
        "manage_channels": Ask("GET", channel, user),
        "mark_read": Ask("PUT", f"{channel}/read", user, {"last_read_seq": 1}),
        "post_message": Ask("POST", f"{channel}/messages", user, {"text": "Hello, Grace!"}),
    }
    return {name: event(ask) for name, ask in asked.items()}


# --- The contest ---


def main() -> int:
    """Starts containers by turns; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--runs", type=int, default=RUNS)
    options = arguments.parse_args()
    python = lambda_python()
    with tempfile.TemporaryDirectory() as state, runtime(runtime_python(python)) as made:
        starts = _measured(made, python, Path(state), 1 if options.tiny else options.runs)
    results = summed_up(starts, python_version(python))
    return finish(options, results, targets(results))


def _measured(made: Lambda, python: str, state: Path, runs: int) -> dict[str, list[Start]]:
    settings = LocalSettings(
        port=0, dynamodb_engine=dynamodb.default_engine(), dynamodb_port=0, redis_port=0, upstash_port=0
    )
    environ = dict(os.environ)
    with Stack(settings, ROOT, directory=state, environ=environ, log=lambda _line: None) as stack:
        CHAT.fill(stack.dynamodb_url)
        variables = {name: value for name, value in environ.items() if os.environ.get(name) != value}
        every = list(contenders(python, variables))
        found: dict[str, list[Start]] = {each.name: [] for each in every}
        for turn in progress(range(runs + 1), "turns"):
            for i in range(len(every)):
                each = every[(turn + i) % len(every)]
                start = made.start(each)
                if turn:  # The first turn brings the files into the page cache.
                    found[each.name].append(start)
    return found


def summed_up(starts: Mapping[str, Sequence[Start]], python: str) -> dict[str, Any]:
    """Medians and least of each contender, and how our functions compare."""
    times = {name: _summary(each) for name, each in starts.items()}

    def ratios(theirs: Mapping[str, str]) -> dict[str, dict[str, float]]:
        return {
            each: {
                kind: round(times[each][f"{kind}_ms"] / times[other][f"{kind}_ms"], 2)
                for kind in ("wall", "cpu")
            }
            for each, other in theirs.items()
        }

    return {
        "runs": len(next(iter(starts.values()))),
        "python": python,
        "contenders": times,
        "of_floor": ratios(dict.fromkeys(FUNCTIONS, HELLO)),
        # The endpoint of the usual way that does most nearly what a function's does.
        "of_peer": ratios({each: f"{USUAL} {each if each in PEERS else PEERS[0]}" for each in FUNCTIONS}),
        "of_peer_as_shipped": ratios(dict.fromkeys(FUNCTIONS, f"{SHIPPED} fetch_messages")),
    }


def _summary(starts: Sequence[Start]) -> dict[str, float]:
    wall, cpu = [each.wall_ms for each in starts], [each.cpu_ms for each in starts]
    return {
        "wall_ms": round(statistics.median(wall), 1),
        "wall_min": round(min(wall), 1),
        "cpu_ms": round(statistics.median(cpu), 1),
        "cpu_min": round(min(cpu), 1),
    }


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """What each function may take beside the others."""
    return {
        f"every function at most {most:g} x {name}, on the clock and of the processor": all(
            ratio <= most for each in results[ratios].values() for ratio in each.values()
        )
        for ratios, (most, name) in TARGETS.items()
    }


if __name__ == "__main__":
    sys.exit(main())
