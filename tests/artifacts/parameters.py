"""Systems Manager, as far as a function asks it: the value of one parameter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from local import ports


class _Handler(BaseHTTPRequestHandler):
    values: dict[str, str]
    asked: list[str]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        signed = self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        assert (self.headers["X-Amz-Target"], signed) == ("AmazonSSM.GetParameter", True)
        assert request["WithDecryption"] is True
        self.asked.append(request["Name"])
        known = request["Name"] in self.values
        response = (
            {"Parameter": {"Value": self.values[request["Name"]]}}
            if known
            else {"__type": "ParameterNotFound"}
        )
        body = json.dumps(response).encode()
        self.send_response(200 if known else 400)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def parameter_store(values: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """An address where these parameters are, and the names that were asked for there so far."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"values": values, "asked": asked})
    with ThreadingHTTPServer((ports.LOOPBACK, 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{ports.LOOPBACK}:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
