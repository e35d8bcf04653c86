"""DynamoDB Local on a database of its own, which can be killed and comes back with what it had acknowledged."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.dynamodb.engine import (
    CREDENTIALS,
    DYNAMODB_LOCAL,
    REGION,
    Engine,
    client,
    ensure_table,
    launch_engine,
)
from local.processes import ChildFailedError, Processes
from local.template.load import load
from shared.aws.botocore_client import BotocoreClient
from shared.settings import Settings
from shared.storage.dynamodb import DynamoDBStore

TABLE: Final = "budgie-crashes"
TEMPLATE: Final = Path(__file__).resolve().parents[3] / "template.yaml"
RESTARTS: Final = 5


class MortalEngine:
    """The engine; always at the same address.

    Args:
        directory: where its database lies.
        processes: what it ends by.
    """

    def __init__(self, directory: Path, processes: Processes) -> None:
        self._directory = directory
        self._processes = processes
        self._lock = threading.Lock()
        self._engine = self._launch(0)
        self.url = self._engine.url
        self.killed_at: list[float] = []
        """By ``time.monotonic``."""
        self.down_seconds = 0.0
        ensure_table(client(self.url), TABLE, load(TEMPLATE))

    def kill(self) -> None:
        """SIGKILL, and a new one on the same database."""
        with self._lock:
            began = time.monotonic()
            os.kill(self._engine.pid, signal.SIGKILL)
            self.killed_at.append(began)
            port = int(self.url.rsplit(":", 1)[1])
            for _ in range(RESTARTS):
                time.sleep(0.2)  # Until the system has let the port go.
                self._engine = self._launch(port)
                if self._engine.url == self.url:
                    break
                os.kill(self._engine.pid, signal.SIGKILL)
            if self._engine.url != self.url:
                raise RuntimeError("the engine's port was taken by somebody else")
            self.down_seconds += time.monotonic() - began

    @property
    def kills(self) -> int:
        """How often it was killed."""
        return len(self.killed_at)

    def store(self) -> DynamoDBStore:
        """A storage on a fresh client, without any state from before."""
        return DynamoDBStore(BotocoreClient(client(self.url)), TABLE)

    def _launch(self, port: int) -> Engine:
        engine = launch_engine(DYNAMODB_LOCAL, self._directory, self._processes, port=port)
        engine.wait_ready()
        return engine


@contextmanager
def mortal_engine(directory: Path) -> Iterator[MortalEngine]:
    """An engine, and the environment of writers that use it; ends with this context.

    Raises:
        ChildFailedError: it did not start.
    """
    with Processes(directory) as processes:
        engine = MortalEngine(directory, processes)
        before = dict(os.environ)
        for name in Settings.variables():
            os.environ.pop(name, None)
        os.environ |= {
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": "127.0.0.1,localhost",
            "TABLE_NAME": TABLE,
            "DYNAMODB_ENDPOINT_URL": engine.url,
            "RATE_LIMIT_PER_SECOND": "1000",
            "RATE_LIMIT_BURST": "100000",
            "LOG_LEVEL": "CRITICAL",
        }
        try:
            yield engine
        finally:
            os.environ.clear()
            os.environ |= before


__all__ = ["TABLE", "ChildFailedError", "MortalEngine", "mortal_engine"]
