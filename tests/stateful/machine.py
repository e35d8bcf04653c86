"""The whole API as one machine of random requests."""

from __future__ import annotations

from tests.stateful.changes import Changes
from tests.stateful.channels import Channels
from tests.stateful.messages import Messages
from tests.stateful.order import Order


class Machine(Channels, Messages, Changes, Order):
    """Every route, in any order."""
