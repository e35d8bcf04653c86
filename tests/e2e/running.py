"""The local stack as a process of its own, for the tests that break nothing in it and those that do."""

from __future__ import annotations

from typing import Final

from local.running import ROOT, RunningStack, running_stack

FAST: Final = {
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "THROTTLE_RATE": "10000",
    "LOG_LEVEL": "WARNING",
}
"""Settings of handlers and gateway under which a test need not wait."""

__all__ = ["FAST", "ROOT", "RunningStack", "running_stack"]
