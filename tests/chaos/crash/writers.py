"""Writers: processes of their own that run the real handler, one event after the other, until they are killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local.gateway import events
from local.gateway.wire import Request
from local.template.load import Route, load
from shared.domain.errors import UnavailableError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

START_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 60.0
"""A function has 10 s; on a machine that does much else it may take longer here, where nobody ends it."""
TEMPLATE: Final = Path(__file__).resolve().parents[3] / "template.yaml"
ROUTE: Final = "POST /v1/channels/{channel_id}/messages"
_STARTING: Final = threading.Lock()


@cache
def _route() -> Route:
    return next(each for each in load(TEMPLATE).routes if each.key == ROUTE)


@dataclass(frozen=True)
class Post:
    """A request, the same each time that it is sent."""

    channel: str
    user: str
    key: str
    texts: tuple[str, ...]

    def event(self) -> dict[str, Any]:
        """As API Gateway hands it over."""
        messages: list[dict[str, str]] = [{"text": text} for text in self.texts]
        body = json.dumps({"messages": messages} if len(messages) > 1 else messages[0]).encode()
        headers = (
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("idempotency-key", self.key),
        )
        request = Request("POST", f"/v1/channels/{self.channel}/messages", headers=headers, body=body)
        return events.build(
            request,
            _route(),
            {"channel_id": self.channel},
            request_id=events.new_request_id(),
            claims={"sub": self.user},
        )


@dataclass(frozen=True)
class Response:
    """The handler's response."""

    status: int
    body: str
    replayed: bool


class Writer:
    """One process; used by one thread, which may kill it.

    Args:
        context: of ``fork_server``.
    """

    def __init__(self, context: ForkServerContext) -> None:
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _STARTING:
            self._process.start()
        theirs.close()
        if not self._pipe.poll(START_SECONDS):
            raise RuntimeError("a writer did not start")
        self._pipe.recv()

    def ask(self, post: Post) -> None:
        """Hands the post over, and returns at once."""
        self._pipe.send(post.event())

    def response(self, seconds: float = ANSWER_SECONDS) -> Response | None:
        """What it says within this time; None if nothing."""
        if not self._pipe.poll(seconds):
            return None
        result = self._pipe.recv()
        replayed = result["headers"].get("idempotency-replayed") == "true"
        return Response(result["statusCode"], result["body"], replayed)

    def kill(self) -> None:
        """Sends SIGKILL at any moment."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._pipe.close()


def fork_server() -> ForkServerContext:
    """A context whose processes begin with the handlers imported; the environment is that of the first start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.crash.warm"])
    return context


def _serve(pipe: Connection) -> None:
    from tests.chaos.crash.warm import handler, services

    random.seed()  # Not the fork server's place in the sequence.
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process lives
    with suppress(UnavailableError):  # The engine may be dead just now.
        services().store.ping()
    pipe.send("ready")
    while True:
        try:
            event = pipe.recv()
        except EOFError:
            return
        pipe.send(handler(event, None))  # type: ignore[arg-type]  # none of ours looks at its context
