"""The storage in memory, for tests and simulations. It passes the same contract suite as the one on DynamoDB."""

from shared.storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]
