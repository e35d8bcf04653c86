"""Upstash's REST endpoint for the local stack, in front of any server that speaks the Redis protocol.

`python -m local.upstash.endpoint --port 8079 --redis-port 6379 --token T` runs it alone. The control paths, which
Upstash does not have, require the token, are never affected by faults and are not counted:

- `POST /-/faults` arms the fault, or array of faults, in the JSON body (fields: `local.upstash.faults.Fault`);
  `GET` lists them, `DELETE` disarms them all.
- `GET /-/usage` returns the figures of `local.upstash.usage.Usage`; `DELETE` resets them.

JSON.*, search and the other modules are missing, as the Redis server does not have them.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import threading
from collections.abc import Callable
from typing import Final, Self

from local.gateway.server import HOST, Server
from local.gateway.wire import Request, Response
from local.upstash.commands import Executor
from local.upstash.faults import Fault, FaultError, Faults, read_faults
from local.upstash.http import LIMITS, Backend
from local.upstash.resp import Pool
from local.upstash.service import UNAUTHORIZED, Service
from local.upstash.usage import Usage, UsageCounter
from local.upstash.wire import error_answer, typed

_BEFORE_REFUSAL: Final = 0.1  # seconds, in which the current request gets its response


class UpstashEndpoint:
    """The endpoint, served by threads of this process on 127.0.0.1; start it with `start()` or `with`.

    Args:
        redis_port: Of the Redis server.
        token: Allows everything.
        read_only_token: Allows commands that only read.
        port: Where to listen; 0 for a free port.
        redis_host: The Redis server's address.

    Attributes:
        faults: The armed faults; may be changed at any time.
        redis_port: As given.
    """

    def __init__(
        self,
        *,
        redis_port: int,
        token: str,
        read_only_token: str | None = None,
        port: int = 0,
        redis_host: str = HOST,
    ) -> None:
        self.faults = Faults()
        self.redis_port = redis_port
        self._counter = UsageCounter()
        self._pool = Pool(redis_host, redis_port)
        executor = Executor(self._pool, self.faults, self._counter)
        self._backend = Backend(
            Service(executor, token, read_only_token), self.faults, self._counter, self._control
        )
        self._port = port
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base URL, for `UPSTASH_REDIS_REST_URL`; its port is known after the start."""
        return f"http://{HOST}:{self._port}"

    @property
    def usage(self) -> Usage:
        """The counts so far."""
        return self._counter.snapshot()

    def reset_usage(self) -> None:
        """Reset the counts."""
        self._counter.reset()

    def start(self) -> None:
        """Listen, in a daemon thread.

        Raises:
            OSError: The port is in use.
        """
        self.accept()

    def accept(self) -> None:
        """Listen again after `refuse`; does nothing while listening."""
        with self._lock:
            if self._server is None and not self._backend.closing.is_set():
                server = self._server = Server(
                    self._port, self._backend, limits=LIMITS, on_connection=self._counter.connection
                )
                self._port = server.port
                server.start()

    def refuse(self, seconds: float | None = None) -> None:
        """Stop listening, so that connecting is refused, and close all connections.

        Args:
            seconds: Listen again after this time; None: until `accept` is called.
        """
        self._stop_listening(patience=0.0)
        if seconds is not None:
            self._later(seconds, self.accept)

    def close(self) -> None:
        """Stop listening, close all connections and wait up to 2 s for requests in progress."""
        self._backend.closing.set()
        if self._timer is not None:
            self._timer.cancel()
        self._stop_listening(patience=2.0)
        self._pool.close()

    def _control(self, request: Request) -> Response:
        """Respond to a request to a control path."""
        if self._backend.service.role(request) != "full":
            return UNAUTHORIZED
        try:
            match request.method, request.path:
                case "POST", "/-/faults":
                    self._arm(read_faults(json.loads(request.body)))
                case "DELETE", "/-/faults":
                    self.faults.clear()
                case "DELETE", "/-/usage":
                    self.reset_usage()
                case "GET", "/-/usage":
                    return _json(self.usage.as_json())
                case "GET", "/-/faults":
                    pass
                case _:
                    return error_answer("ERR no such control path", 404)
        except (FaultError, ValueError) as error:
            return error_answer(f"ERR {error}")
        return _json([dataclasses.asdict(fault) for fault in self.faults.active()])

    def _arm(self, faults: list[Fault]) -> None:
        self.faults.add(*(fault for fault in faults if fault.kind != "refuse"))
        for fault in faults:
            if fault.kind == "refuse":
                self._later(_BEFORE_REFUSAL, functools.partial(self.refuse, fault.seconds))

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, action)
        self._timer.daemon = True
        self._timer.start()

    def _stop_listening(self, patience: float) -> None:
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop(patience, hang_up=True)


def _json(document: object) -> Response:
    return typed(200, json.dumps(document).encode())


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m local.upstash.endpoint", description="Upstash REST before Redis"
    )
    parser.add_argument(
        "--port", type=int, default=8079, help="where to listen on 127.0.0.1; 0: any free one"
    )
    parser.add_argument("--redis-port", type=int, required=True, help="where the Redis server listens")
    parser.add_argument("--token", required=True, help="the token that clients send")
    parser.add_argument("--read-only-token", help="a token for commands that only read")
    options = parser.parse_args()
    endpoint = UpstashEndpoint(
        port=options.port,
        redis_port=options.redis_port,
        token=options.token,
        read_only_token=options.read_only_token,
    )
    with endpoint, contextlib.suppress(KeyboardInterrupt):
        print(f"Upstash REST on {endpoint.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
