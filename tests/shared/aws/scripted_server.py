"""An HTTP server on 127.0.0.1 with scripted responses that records its requests."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Play = Callable[["Handler"], None]


@dataclass
class Server:
    """Each request gets the next of ``plays``; the last one again and again."""

    url: str
    plays: list[Play]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)

    def next(self) -> Play:
        """What the current request gets."""
        return self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    script: Server

    def do_POST(self) -> None:
        """Notes what is asked, and plays."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.script.asked.append((self.headers["x-amz-target"].split(".")[1], json.loads(body)))
        self.script.connections.add(self.client_address)
        self.script.next()(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's
        """Says nothing."""


def says(response: object, status: int = 200, *, crc: int | None = None, close: bool = False) -> Play:
    """A response as DynamoDB writes it; ``close`` ends the connection after it without notice."""

    def play(handler: Handler) -> None:
        raw = response if isinstance(response, bytes) else json.dumps(response).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(raw)))
        handler.send_header("x-amz-crc32", str(zlib.crc32(raw) if crc is None else crc))
        handler.end_headers()
        handler.wfile.write(raw)
        handler.close_connection = close

    return play


def refuses(code: str, status: int = 400, **rest: Any) -> Play:
    """An error as DynamoDB writes it."""
    return says({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "made up", **rest}, status)


def checks_the_time(response: object) -> Play:
    """As AWS does: refuses a signature more than 5 minutes off; the response has the right time."""

    def play(handler: Handler) -> None:
        signed = datetime.strptime(handler.headers["x-amz-date"], "%Y%m%dT%H%M%S%z")
        is_timely = abs((datetime.now(UTC) - signed).total_seconds()) <= 300
        (says(response) if is_timely else refuses("InvalidSignatureException"))(handler)

    return play


def resets(handler: Handler) -> None:
    """Breaks the connection off."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def hangs(event: threading.Event) -> Play:
    """Says nothing until the event comes."""

    def play(handler: Handler) -> None:
        event.wait(20)
        handler.close_connection = True

    return play


@contextmanager
def serving(*plays: Play) -> Iterator[Server]:
    """A server for the time of this context."""

    class Scripted(Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a reset connection is what was asked for
    script = Server(f"http://127.0.0.1:{server.server_address[1]}", list(plays))
    Scripted.script = script
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
