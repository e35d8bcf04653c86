"""What is started: floors, the usual way, and each of our functions, as folders that Lambda would unpack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bench.cold.containers import Contender
from bench.fleet import event
from bench.load.scene import USUAL_TABLE, Scene
from bench.one_page import PAGE
from local import artifacts
from local.artifacts import LOCAL, PythonMissingError, Target

ROOT: Final = Path(__file__).resolve().parents[2]
WORK: Final = ROOT / ".local/bench/cold"
BARE, HELLO, USUAL, SHIPPED = "bare", "fastapi hello", "usual", "usual, as shipped"
FUNCTIONS: Final = tuple(sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py")))
PEERS: Final = ("fetch_messages", "list_channels", "post_message")
"""Functions whose endpoint the usual way has too."""
SCENE: Final = Scene(channels=5, messages=PAGE + 10, users=2)


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
        uv = str(Path(sys.executable).with_name("uv"))
        requirements = str(ROOT / "requirements/rie.txt")
        for command in (
            ["venv", "--quiet", "--clear", "--python", python, str(folder)],
            *[["pip", "install", "--quiet", "--python", str(made), "--require-hashes", "-r", requirements]],
        ):
            subprocess.run([uv, *command], check=True)  # noqa: S603 - a command of our own making
        subprocess.run(  # noqa: S603 - as above
            [
                str(made),
                "-m",
                "compileall",
                "-q",
                "--invalidation-mode",
                "unchecked-hash",
                str(folder / "lib"),
            ],
            check=True,
        )
    return made


def contenders(python: str, variables: Mapping[str, str]) -> Iterator[Contender]:
    """All of them, built.

    Args:
        python: what compiles and runs them.
        variables: of the engines, as our functions read them.
    """
    target = Target(LOCAL, python)
    floor = _plain(
        "floor", "artifact", {"bare.py": "bench/cold/bare.py", "hello.py": "bench/cold/hello.py"}, target
    )
    events = _events()
    yield Contender(BARE, floor, "bare.handler", events["list_channels"])
    yield Contender(HELLO, floor, "hello.handler", events["list_channels"])
    usual = _plain("usual", "usual", {"handler.py": "bench/usual/handler.py"}, target)
    theirs = dict(variables) | {
        "TABLE_NAME": USUAL_TABLE,
        "AWS_ENDPOINT_URL_DYNAMODB": variables["DYNAMODB_ENDPOINT_URL"],
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    shipped = WORK / "shipped"
    shutil.rmtree(shipped, ignore_errors=True)
    shutil.copytree(usual, shipped, ignore=shutil.ignore_patterns("__pycache__"))
    for function in PEERS:
        yield Contender(f"{USUAL} {function}", usual, "handler.handler", events[function], theirs)
    yield Contender(f"{SHIPPED} fetch_messages", shipped, "handler.handler", events["fetch_messages"], theirs)
    for function in FUNCTIONS:
        artifact = WORK / function
        artifacts.build(function, artifact, target)
        yield Contender(
            function, artifact, f"functions.{function}.handler.handler", events[function], variables
        )


def _plain(name: str, requirements: str, files: Mapping[str, str], target: Target) -> Path:
    directory = WORK / name
    artifacts.assemble(requirements, {place: ROOT / file for place, file in files.items()}, directory, target)
    return directory


def _events() -> dict[str, dict[str, Any]]:
    """One for each function, which calls DynamoDB."""
    user, channel = SCENE.user_ids()[0], f"/v1/channels/{SCENE.channel_ids()[0]}"
    return {
        "check_health": event("GET", "/v1/healthz", user, "deep=1"),
        "fetch_messages": event("GET", f"{channel}/messages", user, f"limit={PAGE}"),
        "list_channels": event("GET", "/v1/channels", user),
        "manage_channels": event("GET", channel, user),
        "mark_read": event("PUT", f"{channel}/read", user, "", {"last_read_seq": 1}),
        "post_message": event("POST", f"{channel}/messages", user, "", {"text": "Hello, Grace!"}),
    }
