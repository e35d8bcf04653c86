"""A Lambda container from its start to its first answer: AWS's runtime client, and the API that hands it an event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar, Final

from local import ports

SECONDS: Final = 60
"""That a container may take."""
NEXT: Final = "/2018-06-01/runtime/invocation/next"
ARN: Final = "arn:aws:lambda:us-east-1:123456789012:function:bench"


class NoAnswerError(RuntimeError):
    """A container did not answer as it should; the text says what it wrote."""


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


class Lambda:
    """The part of Lambda that a container sees: one event each, then nothing more."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self._event: bytes = b""
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
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - a command of our own making
            [str(self._python), "-m", "awslambdaric", contender.handler],
            env=self._environment(contender),
            cwd=contender.artifact,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        in_time = self._answered.wait(SECONDS)
        process.send_signal(signal.SIGKILL)
        said, _ = (
            process.stdout.read(20_000) if process.stdout else b"",
            process.stdout and process.stdout.close(),
        )
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = -signal.SIGKILL
        if (
            not in_time
            or not isinstance(self._answer, dict)
            or self._answer.get("statusCode") not in {200, 201}
        ):
            raise NoAnswerError(f"{contender.name}: {self._answer}\n{said.decode(errors='replace')[-3000:]}")
        return Start((self._at - began) * 1000, (used.ru_utime + used.ru_stime) * 1000)

    def next(self) -> bytes | None:
        """The event; None after the first time, when a container waits for more."""
        event, self._event = self._event, b""
        return event or None

    def take(self, answer: bytes) -> None:
        """The container's answer."""
        if not self._answered.is_set():
            self._at = time.perf_counter()
            self._answer = json.loads(answer)
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
        self.send_response(200)
        deadline = round((time.time() + SECONDS) * 1000)
        for name, value in (
            ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
            ("Lambda-Runtime-Deadline-Ms", str(deadline)),
            ("Lambda-Runtime-Invoked-Function-Arn", ARN),
            ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(event))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        """An answer, or why there is none."""
        self.runtime.take(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Says nothing."""


@contextmanager
def runtime(python: Path) -> Iterator[Lambda]:
    """Lambda, for containers of a Python that has its runtime client."""
    made = Lambda(python)
    handler = type("Handler", (_Handler,), {"runtime": made})
    server = ThreadingHTTPServer((ports.LOOPBACK, 0), handler)
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
