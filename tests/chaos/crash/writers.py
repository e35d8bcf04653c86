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
from urllib.parse import quote

from local.gateway import events
from local.gateway.wire import Request
from local.template.load import Route, load
from shared.domain import keys
from shared.domain.changes import ChangeKind
from shared.domain.errors import UnavailableError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

START_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 60.0
"""A function has 10 s; on a machine that does much else it may take longer here, where nobody ends it."""
TEMPLATE: Final = Path(__file__).resolve().parents[3] / "template.yaml"
ROUTE: Final = "POST /v1/channels/{channel_id}/messages"
MESSAGE: Final = "/v1/channels/{channel_id}/messages/{message_id}"
ROOT: Final = 1
"""The position of the message in each channel that is replied to."""
_STARTING: Final = threading.Lock()


@cache
def _route(key: str) -> Route:
    return next(each for each in load(TEMPLATE).routes if each.key == key)


def _event(
    key: str, parts: dict[str, str], user: str, body: bytes, idempotency_key: str | None = None
) -> dict[str, Any]:
    """A request to a route, as API Gateway hands it over."""
    method, path = key.split(" ")
    headers = [("host", "localhost"), ("content-type", "application/json")]
    if idempotency_key:
        headers.append(("idempotency-key", idempotency_key))
    for name, value in parts.items():
        path = path.replace(f"{{{name}}}", quote(value))
    request = Request(method, path, headers=tuple(headers), body=body)
    return events.build(request, _route(key), parts, request_id=events.new_request_id(), claims={"sub": user})


def thread_of(channel: str) -> str:
    """The log id of the thread in a channel."""
    return keys.message_id(channel, ROOT)


@dataclass(frozen=True)
class Post:
    """A request, the same each time that it is sent."""

    channel: str
    user: str
    key: str
    texts: tuple[str, ...]
    is_reply: bool = False
    also_in_channel: bool = False

    @property
    def log(self) -> str:
        """The id of the log that it is posted to."""
        return thread_of(self.channel) if self.is_reply else self.channel

    def event(self) -> dict[str, Any]:
        """As API Gateway hands it over."""
        messages: list[dict[str, Any]] = [{"text": text} for text in self.texts]
        if self.also_in_channel:
            messages[0]["also_in_channel"] = True
        body = json.dumps({"messages": messages} if len(messages) > 1 else messages[0]).encode()
        parts = {"channel_id": self.channel}
        if not self.is_reply:
            return _event(ROUTE, parts, self.user, body, self.key)
        return _event(f"POST {MESSAGE}/replies", parts | {"message_id": self.log}, self.user, body, self.key)


@dataclass(frozen=True)
class Change:
    """A change of a message, the same each time that it is sent, and made once at most; ``channel`` is the log."""

    channel: str
    user: str
    key: str
    kind: ChangeKind
    seq: int
    emoji: str = ""

    def event(self) -> dict[str, Any]:
        """As API Gateway hands it over."""
        message_id = keys.message_id(self.channel, self.seq)
        parts = {"channel_id": keys.channel_of_log(self.channel), "message_id": message_id}
        match self.kind:
            case ChangeKind.EDITED:
                body = json.dumps({"text": self.key}).encode()
                return _event(f"PATCH {MESSAGE}", parts, self.user, body, self.key)
            case ChangeKind.DELETED:
                return _event(f"DELETE {MESSAGE}", parts, self.user, b"")
            case ChangeKind.PINNED:
                return _event(f"PUT {MESSAGE}/pin", parts, self.user, b"")
            case _:
                return _event(
                    f"PUT {MESSAGE}/reactions/{{emoji}}/me", parts | {"emoji": self.emoji}, self.user, b""
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

    def ask(self, post: Post | Change) -> None:
        """Hands the request over, and returns at once."""
        self._pipe.send(post.event())

    def response(self, seconds: float = ANSWER_SECONDS) -> Response | None:
        """What it says within this time; None if nothing."""
        if not self._pipe.poll(seconds):
            return None
        result = self._pipe.recv()
        replayed = result["headers"].get("idempotency-replayed") == "true"
        return Response(result["statusCode"], result.get("body", ""), replayed)

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
    from tests.chaos.crash.warm import change_handler, handler, services

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
        handle = handler if event["routeKey"].startswith("POST ") else change_handler
        pipe.send(handle(event, None))  # type: ignore[arg-type]  # none of ours looks at its context
