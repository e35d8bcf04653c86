"""The whole API as one machine of random requests."""

from __future__ import annotations

from tests.stateful.channels import Channels
from tests.stateful.messages import Messages
from tests.stateful.order import Order
from tests.stateful.threads import Threads


class Machine(Channels, Messages, Threads, Order):
    """Every route, in any order."""
