"""The whole API as one machine of random requests."""

from __future__ import annotations

from tests.stateful.changes import Changes
from tests.stateful.channels import Channels
from tests.stateful.messages import Messages


class Machine(Channels, Messages, Changes):
    """Every route, in any order."""
