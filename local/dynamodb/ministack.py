"""ministack, made safe for a developer's machine; runs in the Python of ministack's own virtual environment.

It wraps ministack's ASGI application in two ways:

- **A guard.** ministack accepts every origin and every host, and has routes of its own that read and delete everything.
  Here only DynamoDB calls pass, and only under this machine's own name: a web page can send none, neither across
  origins nor by a name that resolves to 127.0.0.1 (`local.guard`).
- **A journal.** ministack writes its tables only when it is stopped. Here each call that changed something is appended
  to a file before its response, and replayed at the next start: after `kill -9` nothing that was acknowledged is
  missing. The file is not synced to the disk, so a power failure may lose the last seconds.

This file imports only the standard library at start, as ministack's environment has nothing that we install.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from local.guard import refusal

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = dict[bytes, bytes]

HOST: Final = "127.0.0.1"
_TARGETS: Final = (b"DynamoDB_", b"DynamoDBStreams_")
_READS: Final = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List", "Search")
_OK: Final = 200
_KEEP_ALIVE: Final = 75  # seconds, as in ministack's own launcher
_STARTUP_SECONDS: Final = 600.0  # most of which replaying a journal may take


def refused(scope: Scope) -> str:
    """Return why a request may not pass, or an empty text if it may."""
    headers = _headers(scope)
    host, origin = headers.get(b"host"), headers.get(b"origin")
    reason = refusal(host.decode("latin-1") if host else None, origin.decode("latin-1") if origin else None)
    is_call = scope["method"] == "POST" and scope["path"] == "/"
    target = headers.get(b"x-amz-target", b"")
    if not reason and (origin is not None or not is_call or not target.startswith(_TARGETS)):
        return "This engine only accepts DynamoDB calls from programs."
    return reason


class Journal:
    """The calls that changed something since the engine's whole state was last written.

    Its first line has a digest of the state that it continues. A journal of another state is older than that state,
    which then contains all of its calls.

    Args:
        path: of the journal.
        state: the file that ministack writes its state to.
    """

    def __init__(self, path: Path, state: Path) -> None:
        self._path = path
        self._state = state
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def pending(self) -> Iterator[tuple[Headers, bytes]]:
        """The calls that the state lacks, in order; an incomplete last line was never acknowledged."""
        with self._path.open("rb") as lines:
            if next(lines, b"").strip() != self._digest():
                return
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                headers, body = json.loads(line)
                yield (
                    {name.encode(): value.encode("latin-1") for name, value in headers.items()},
                    body.encode(),
                )

    def begin(self) -> None:
        """Begin a new journal for the state as it is written now."""
        os.ftruncate(self._file, 0)
        self._append(self._digest())

    def add(self, headers: Headers, body: bytes) -> None:
        """Append a call that is about to be acknowledged.

        Raises:
            OSError: it cannot be written.
        """
        kept = {"x-amz-target": headers[b"x-amz-target"].decode("latin-1")}
        if authorization := headers.get(b"authorization"):
            # It names account and region; the signature is not used.
            kept["authorization"] = authorization.partition(b",")[0].decode("latin-1")
        self._append(json.dumps([kept, body.decode()]).encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: bytes) -> None:
        rest = memoryview(line + b"\n")
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _digest(self) -> bytes:
        content = self._state.read_bytes() if self._state.exists() else b""
        return hashlib.sha256(content).hexdigest().encode()


class Guarded:
    """An ASGI application in front of ministack's.

    Args:
        app: ministack's.
        journal: stores changes.
        save: writes ministack's whole state.
    """

    def __init__(self, app: Application, journal: Journal, save: Callable[[], bool]) -> None:
        self._app = app
        self._journal = journal
        self._save = save
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the engine's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif reason := refused(scope):
            await _answer(send, 403, reason)
        elif self._stopping:
            await _answer(send, 503, "this engine is stopping")
        elif _only_reads(scope):
            await self._app(scope, receive, send)
        else:
            await self._change(scope, receive, send)

    async def _change(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()

        async def heard() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def say(message: Message) -> None:
            # ministack runs a call and begins its response without a pause in between, so both have the same order.
            if message["type"] == "http.response.start" and message["status"] == _OK:
                self._journal.add(_headers(scope), bytes(body))
            await send(message)

        await self._app(scope, heard, say)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            message = await receive()
            # From here on ministack writes its state: a later change would be neither in it nor in the journal.
            self._stopping = self._stopping or message["type"] == "lifespan.shutdown"
            return message

        async def say(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._catch_up()
            await send(message)

        await self._app(scope, heard, say)

    async def _catch_up(self) -> None:
        """Replay what ministack has not written, and have it written."""
        repeated = failed = 0
        for headers, body in self._journal.pending():
            repeated += 1
            failed += await _status(self._app, headers, body) != _OK
        if repeated:
            print(f"repeated {repeated:,} changes that an earlier run had not written", flush=True)
        if failed:
            print(f"{failed:,} of them could not be repeated", flush=True)
        if not repeated or self._save():
            self._journal.begin()


async def _status(app: Application, headers: Headers, body: bytes) -> int:
    """Make a call to the application as if it came over the network; return its status."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [*headers.items(), (b"host", HOST.encode()), (b"content-length", b"%d" % len(body))],
    }
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    await app(scope, receive, send)
    return int(statuses[0])


async def _answer(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"message": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> Headers:
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.lower(): value for name, value in pairs}


def _only_reads(scope: Scope) -> bool:
    return _headers(scope)[b"x-amz-target"].decode("latin-1").rpartition(".")[2].startswith(_READS)


def main() -> int:
    """Serve on 127.0.0.1 at the port of `GATEWAY_PORT`, with state in `STATE_DIR`, until a signal."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app
    from ministack.core.persistence import save_state
    from ministack.services import dynamodb

    port, directory = int(os.environ["GATEWAY_PORT"]), Path(os.environ["STATE_DIR"])
    state = directory / "dynamodb.json"

    def save() -> bool:
        """Whether it was written: ministack only logs failures."""
        before = _identity(state)
        save_state("dynamodb", dynamodb.get_state())
        return _identity(state) != before

    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = _KEEP_ALIVE
    config.startup_timeout = _STARTUP_SECONDS
    config.loglevel = "WARNING"
    asyncio.run(serve(Guarded(app, Journal(directory / "journal.jsonl", state), save), config))
    return 0


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


if __name__ == "__main__":
    sys.exit(main())
