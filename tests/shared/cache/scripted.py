"""A server with scripted responses, to see how the client takes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Script:
    """The responses in turn, then ``OK``; and what was received.

    Attributes:
        responses: status and body; None hangs up instead.
        requests: the bodies of the requests.
        connections: how many were opened.
    """

    url: str = ""
    responses: list[tuple[int, bytes] | None] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def setup(self) -> None:
        super().setup()
        self.script.connections += 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Log nothing."""

    def do_POST(self) -> None:
        """The next response."""
        self.script.requests.append(self.rfile.read(int(self.headers["Content-Length"])))
        response = self.script.responses.pop(0) if self.script.responses else (200, b'{"result":"OK"}')
        if response is None:
            self.close_connection = True
            return
        self.send_response(response[0])
        self.send_header("Content-Length", str(len(response[1])))
        self.end_headers()
        self.wfile.write(response[1])


@contextmanager
def scripted() -> Iterator[Script]:
    """A server on 127.0.0.1, until the context ends."""
    script = Script()
    handler = type("Handler", (_Handler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield script
        server.shutdown()
        thread.join()
