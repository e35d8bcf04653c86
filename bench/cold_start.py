"""From the start of a process to a function's first response: ``python -m bench.cold_start [--json] [--check]``.

Each function's artifact is started in a fresh Python with the environment that Lambda sets, over real engines, so that
the first call to DynamoDB (and to Redis, in functions that use it) is included. Compared with a FastAPI hello under
Mangum, and with the same endpoint in the baseline implementation (``bench.baseline.usual``), with bytecode and, as it
is commonly shipped, without. Started in turns; medians of wall and CPU milliseconds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, Final

from bench.lib import realtime
from bench.lib.chat import BASELINE_TABLE, PAGE, Chat
from bench.lib.command import finish, parser, progress
from bench.lib.functions import ROOT, Ask, event
from bench.lib.operations import thumb
from local.dynamodb import engine as dynamodb
from local.settings import LocalSettings
from local.stack import Stack
from shared.domain.keys import message_id
from shared.domain.model import Entry
from shared.storage.items import entry_item
from tools import artifacts
from tools.artifacts import LOCAL, PythonMissingError, Target, python_version

WORK: Final = ROOT / ".local/bench/cold"
RUNTIME: Final = WORK / "runtime"
"""The packages of Lambda's own Python, such as boto3."""
RUNS: Final = 15
HELLO, BASELINE, SHIPPED = "fastapi hello", "baseline", "baseline without bytecode"
FUNCTIONS: Final = tuple(sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py")))
PEERS: Final = ("fetch_messages", "list_channels", "post_message")
"""Functions whose endpoint the baseline implements too."""
TARGETS: Final = {
    "of_floor": (1.25, "a FastAPI hello"),
    "of_peer": (0.65, "the baseline with bytecode"),
    "of_peer_as_shipped": (0.3, "the baseline without bytecode"),
}
CHAT: Final = Chat(channels=5, messages=PAGE + 10, users=2)
TIMEOUT_SECONDS: Final = 60
CONTAINER: Final = """
import json, os, sys
from importlib import import_module
from types import SimpleNamespace
module, _, name = sys.argv[1].rpartition(".")
handler = getattr(import_module(module), name)
context = SimpleNamespace(
    function_name="bench", function_version="$LATEST", memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:bench",
    aws_request_id="8476a536-e9f4-11e8-9739-2dfe598c3fcd", get_remaining_time_in_millis=lambda: 60_000,
)
print("\\n", handler(json.loads(sys.argv[2]), context).get("statusCode", 200), flush=True)
os._exit(0)
"""
"""What runs in the process: one invocation, then an exit without clean-up."""


@dataclass(frozen=True, slots=True)
class Contender:
    """What is started: a folder as Lambda unpacks it, its handler, and the event for it."""

    name: str
    artifact: Path
    handler: str
    event: dict[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """One start: wall and CPU milliseconds until the response."""

    wall_ms: float
    cpu_ms: float


def start(python: str, contender: Contender) -> Start:
    """Starts a process, and waits for its response.

    Raises:
        RuntimeError: the response was no success.
    """
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{contender.artifact}:{RUNTIME}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(contender.artifact),
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
        "AWS_LAMBDA_FUNCTION_NAME": contender.name.replace(" ", "-"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        **contender.variables,
    }
    # -S: without the packages of this Python's environment.
    command = [python, "-S", "-c", CONTAINER, contender.handler, json.dumps(contender.event)]
    with tempfile.TemporaryFile() as output:
        began, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
        where: Any = {
            "env": environ,
            "cwd": contender.artifact,
            "stdout": output,
            "stderr": subprocess.STDOUT,
        }
        subprocess.run(command, **where, timeout=TIMEOUT_SECONDS, check=False)  # noqa: S603 - our own
        wall, after = time.perf_counter() - began, getrusage(RUSAGE_CHILDREN)
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
    if not lines or not lines[-1].strip().startswith("2"):
        raise RuntimeError("\n".join([f"{contender.name} failed:", *lines[-40:]]))
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Start(wall * 1000, cpu * 1000)


def lambda_python() -> str:
    """Lambda's version of Python if it is installed here, else this one."""
    try:
        return artifacts.find_python(os.environ)
    except PythonMissingError:
        return sys.executable


def contenders(python: str, variables: Mapping[str, str]) -> Iterator[Contender]:
    """Builds all of them as folders that Lambda would unpack.

    Args:
        python: what compiles and runs them.
        variables: of the engines, as our functions read them.
    """
    target, called = Target(LOCAL, python), events()
    artifacts.assemble("rie", {}, RUNTIME, target)
    floor, usual, shipped = (WORK / name for name in ("floor", "usual", "shipped"))
    artifacts.assemble("artifact", {"hello.py": ROOT / "bench/baseline/hello.py"}, floor, target)
    yield Contender(HELLO, floor, "hello.handler", called["list_channels"])
    artifacts.assemble("usual", {"usual.py": ROOT / "bench/baseline/usual.py"}, usual, target)
    theirs = dict(variables) | {
        "TABLE_NAME": BASELINE_TABLE,
        "AWS_ENDPOINT_URL_DYNAMODB": variables["DYNAMODB_ENDPOINT_URL"],
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    shutil.rmtree(shipped, ignore_errors=True)
    shutil.copytree(usual, shipped, ignore=shutil.ignore_patterns("__pycache__"))
    for function in PEERS:
        yield Contender(f"{BASELINE} {function}", usual, "usual.handler", called[function], theirs)
    yield Contender(SHIPPED, shipped, "usual.handler", called["fetch_messages"], theirs)
    for function in FUNCTIONS:
        artifacts.build(function, WORK / function, target)
        handler = f"functions.{function}.handler.handler"
        yield Contender(function, WORK / function, handler, called[function], variables)


def events() -> dict[str, dict[str, Any]]:
    """For each function, an event that makes it call DynamoDB."""
    user, channel = CHAT.user_ids()[0], f"/v1/channels/{CHAT.channel_ids()[0]}"
    asked = {
        "change_messages": thumb(f"{channel}/messages/{message_id(CHAT.channel_ids()[0], 1)}", user=user),
        "check_health": Ask("GET", "/v1/healthz?deep=1", user),
        "fetch_messages": Ask("GET", f"{channel}/messages?limit={PAGE}", user),
        "list_channels": Ask("GET", "/v1/channels", user),
        "manage_channels": Ask("GET", channel, user),
        "mark_read": Ask("PUT", f"{channel}/read", user, {"last_read_seq": 1}),
        "post_message": Ask("POST", f"{channel}/messages", user, {"text": "Hello, Grace!"}),
        "issue_ticket": Ask("POST", "/v1/realtime/tickets", user),
    }
    return {name: event(ask) for name, ask in asked.items()} | {
        # Of a connection that has ended; each of the three reads.
        "open_connection": realtime.ends("ended="),
        "receive_frame": realtime.sends("ended=", '{"v": 1, "type": "ping"}'),
        "dispatch_changes": realtime.batch("INSERT", entry_item(CHAT.channel_ids()[0], Entry(1, 1, 1, None))),
    }


def measure(python: str, runs: int) -> dict[str, list[Start]]:
    """Starts every contender, by name, in turns."""
    settings = LocalSettings(
        port=0, dynamodb_engine=dynamodb.default_engine(), dynamodb_port=0, redis_port=0, upstash_port=0
    )
    environ = dict(os.environ)
    with (
        tempfile.TemporaryDirectory() as state,
        Stack(settings, ROOT, directory=Path(state), environ=environ, log=lambda _line: None) as stack,
    ):
        CHAT.fill(stack.dynamodb_url)
        variables = {name: value for name, value in environ.items() if os.environ.get(name) != value}
        all_of_them = list(contenders(python, variables))
        found: dict[str, list[Start]] = {each.name: [] for each in all_of_them}
        for turn in progress(range(runs + 1), "turns"):
            first = turn % len(all_of_them)
            for each in all_of_them[first:] + all_of_them[:first]:
                started = start(python, each)
                if turn:  # The first turn brings the files into the page cache.
                    found[each.name].append(started)
    return found


def summed_up(starts: Mapping[str, Sequence[Start]], python: str) -> dict[str, Any]:
    """Medians of each contender, and ratios of our functions to the others."""
    times = {
        name: {
            "wall_ms": round(statistics.median(each.wall_ms for each in some), 1),
            "cpu_ms": round(statistics.median(each.cpu_ms for each in some), 1),
        }
        for name, some in starts.items()
    }

    def ratios(others: Mapping[str, str]) -> dict[str, dict[str, float]]:
        return {
            each: {kind: round(times[each][kind] / times[other][kind], 2) for kind in times[each]}
            for each, other in others.items()
        }

    return {
        "runs": len(next(iter(starts.values()))),
        "python": python,
        "contenders": times,
        "of_floor": ratios(dict.fromkeys(FUNCTIONS, HELLO)),
        # Functions without an endpoint in the baseline are compared with the most similar one.
        "of_peer": ratios({each: f"{BASELINE} {each if each in PEERS else PEERS[0]}" for each in FUNCTIONS}),
        "of_peer_as_shipped": ratios(dict.fromkeys(FUNCTIONS, SHIPPED)),
    }


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The largest ratio of each function to the others."""
    return {
        f"every function at most {most:g} x {name}, in wall and CPU time": all(
            ratio <= most for each in results[ratios].values() for ratio in each.values()
        )
        for ratios, (most, name) in TARGETS.items()
    }


def main() -> int:
    """Measures cold starts; with ``--check`` exits with 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--runs", type=int, default=RUNS)
    options = arguments.parse_args()
    python = lambda_python()
    starts = measure(python, 1 if options.tiny else options.runs)
    results = summed_up(starts, python_version(python))
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
