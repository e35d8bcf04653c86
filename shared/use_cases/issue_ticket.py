"""One-time tickets, with which clients open the WebSocket."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.clock import rfc3339
from shared.domain.errors import RouteNotFoundError
from shared.domain.realtime import TICKET_SECONDS

CHARACTERS: Final = 32
"""Of a ticket: 160 random bits in base 32, which may be a WebSocket subprotocol's name."""
_TICKET: Final = re.compile(f"[{keys.ID_ALPHABET}]{{{CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new ticket. It is nowhere but in this response: the storage has its hash."""

    ticket: str
    url: str
    """The WebSocket's address."""
    expires_at: str


def issue_ticket(services: Services, user_id: str) -> Ticket:
    """Stores a new ticket of the user, for one connection within ``TICKET_SECONDS``. Costs 1 write unit.

    Raises:
        RouteNotFoundError: the deployment has no realtime.
    """
    url = services.settings.realtime_url
    if not url:
        raise RouteNotFoundError
    ticket = "".join(secrets.choice(keys.ID_ALPHABET) for _ in range(CHARACTERS))
    expires = services.now() // 1000 + TICKET_SECONDS
    services.store.add_ticket(ticket_hash(ticket), user_id, expires)
    return Ticket(ticket, url, rfc3339(expires * 1000))


def is_ticket(text: str) -> bool:
    """Whether the text has the form of a ticket."""
    return _TICKET.fullmatch(text) is not None


def ticket_hash(ticket: str) -> str:
    """What is stored of a ticket: 128 bits of its SHA-256, in hexadecimal."""
    return sha256(ticket.encode()).hexdigest()[:32]
