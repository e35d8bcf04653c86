"""One writer's world, for the tests of the contention benchmark."""

from __future__ import annotations

from bench.contending.crew import settings
from bench.contending.faults import Rates
from bench.contending.shift import BUDGIE, WRITE, Shift
from shared.services import Services, compose
from shared.store.memory import MemoryStore

WRITER = "writer-0"


def services_in_memory() -> Services:
    """Services without rate limits over a storage in memory."""
    return compose(settings(""), MemoryStore())


def shift_in(channel: str) -> Shift:
    """The writer's, which counts from the 3rd second to the 10th."""
    return Shift(BUDGIE, WRITE, channel, WRITER, 0, 3, 10, Rates(), "seed")
