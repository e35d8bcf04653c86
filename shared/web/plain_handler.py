"""What the handlers share of functions that nobody calls over HTTP, and that load no FastAPI."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shared import bootstrap
from shared.observability import telemetry
from shared.observability.meter import Ledger, Meter
from shared.runtime import startup
from shared.settings import SettingsError

if TYPE_CHECKING:
    from shared.aws.sender import Sender
    from shared.bootstrap import Services


class PlainHandler:
    """The parts of a function, and what the lines of its invocations have in common.

    Args:
        function: its name in log lines.
        services: the container's services.
        sender: the container's sender of frames.
        now: a monotonic clock in seconds.
    """

    def __init__(
        self,
        function: str,
        services: Callable[[], Services],
        sender: Callable[[], Sender],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.function = function
        self._services = services
        self._sender = sender
        self._now = now
        self._cold = True
        self._ledger = Ledger()

    def _fields(self, meter: Meter, code: str | None, ms: float) -> dict[str, Any]:
        """Fields of every line; ``meter`` is closed."""
        return {
            "function": self.function,
            "code": code,
            "aws_error": meter.aws_error,
            "ms": ms,
            "cold": self._cold,
            "read_units": meter.read_units,
            "write_units": meter.write_units,
            "calls": meter.calls,
        }


def warm_up() -> None:
    """On Lambda builds everything, during INIT; called before a handler is returned."""
    if startup.on_lambda():
        telemetry.warm_up()
        with suppress(SettingsError):
            bootstrap.sender()  # which needs the services
    startup.end()
