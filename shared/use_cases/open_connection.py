"""Opening and closing WebSocket connections."""

from __future__ import annotations

from collections.abc import Sequence

from shared.aws.sender import Sender
from shared.bootstrap import Services
from shared.domain.errors import MalformedRequestError, UnauthenticatedError
from shared.domain.realtime import CONNECTION_SECONDS, MAX_CONNECTIONS, SUBPROTOCOL, Connection
from shared.use_cases.issue_ticket import is_ticket, ticket_hash


def open_connection(
    services: Services, sender: Sender, connection_id: str, protocols: Sequence[str]
) -> Connection:
    """Uses a ticket up, and stores the connection of its user. Ends the user's oldest connections beyond the limit.

    Costs 1 read and 3 write units. Two connections that open at the same time may exceed the limit together.

    Args:
        services: the container's services.
        sender: ends connections.
        connection_id: the connection that is being opened.
        protocols: the WebSocket subprotocols that the client offers: the protocol's version and the ticket.

    Raises:
        MalformedRequestError: the client does not offer the protocol's version.
        UnauthenticatedError: there is no ticket, or it is unknown, expired or used.
    """
    if SUBPROTOCOL not in protocols:
        raise MalformedRequestError(f"The client does not offer the subprotocol {SUBPROTOCOL}.")
    now = services.now()
    user_id = _take_ticket(services, protocols, now)
    others = services.store.connections_of(user_id, now)
    for each in others[: max(0, len(others) + 1 - MAX_CONNECTIONS)]:
        services.store.close_connection(each)
        sender.disconnect(each.connection_id)
    connection = Connection(connection_id, user_id, now, now // 1000 + CONNECTION_SECONDS)
    services.store.open_connection(connection)
    return connection


def _take_ticket(services: Services, protocols: Sequence[str], now: int) -> str:
    tickets = [each for each in protocols if is_ticket(each)]
    user_id = services.store.take_ticket(ticket_hash(tickets[0]), now) if len(tickets) == 1 else None
    if user_id is None:
        raise UnauthenticatedError
    return user_id


def close_connection(services: Services, connection_id: str) -> Connection | None:
    """Ends the watches of a connection that has ended, and forgets it; returns it. None if it is forgotten already."""
    connection = services.store.connection(connection_id, services.now())
    if connection is not None:
        services.store.close_connection(connection)
    return connection
