"""An Upstash REST endpoint of the tests' own, before a Redis server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from json import dumps, loads
from pathlib import Path
from typing import Any, Final

from local.upstash import valkey
from local.upstash.endpoint import UpstashEndpoint

TOKEN: Final = "token-of-the-tests"


@contextmanager
def opened_endpoint(directory: Path) -> Iterator[UpstashEndpoint]:
    """An endpoint that ends with this context."""
    with valkey.running(directory) as port, UpstashEndpoint(redis_port=port, token=TOKEN) as endpoint:
        yield endpoint


def run(endpoint: UpstashEndpoint, *command: str) -> Any:
    """One command's result, on a connection of its own."""
    with closing(HTTPConnection(endpoint.url.removeprefix("http://"), timeout=5)) as connection:
        connection.request("POST", "/", dumps(command), {"Authorization": f"Bearer {TOKEN}"})
        return loads(connection.getresponse().read())["result"]


def reset(endpoint: UpstashEndpoint) -> None:
    """No faults, no values."""
    endpoint.faults.clear()
    endpoint.accept()
    run(endpoint, "FLUSHALL")
    endpoint.reset_usage()
