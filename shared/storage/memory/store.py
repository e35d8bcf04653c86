"""The whole storage in memory."""

from __future__ import annotations

from dataclasses import dataclass

from shared.storage.memory.changes import MemoryChanges
from shared.storage.memory.channels import MemoryChannels
from shared.storage.memory.erasures import MemoryErasures
from shared.storage.memory.moderation import MemoryModeration
from shared.storage.memory.realtime import MemoryRealtime


@dataclass
class MemoryStore(MemoryChanges, MemoryChannels, MemoryModeration, MemoryErasures, MemoryRealtime):
    """Implements ``shared.storage.protocol.Store``; a lock makes each method atomic, like a call to DynamoDB."""
