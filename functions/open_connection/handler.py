"""Opening and closing WebSocket connections: the routes `$connect` and `$disconnect`."""

from __future__ import annotations

from shared.aws.sender import Sender
from shared.bootstrap import Services
from shared.domain.realtime import SUBPROTOCOL
from shared.use_cases import open_connection as use_case
from shared.web.websocket import CONNECT, DISCONNECT, PROTOCOLS, Event, Reply, create_handler


def open_connection(services: Services, sender: Sender, event: Event) -> Reply:
    """Accepts a connection with a valid ticket."""
    connection = use_case.open_connection(services, sender, event.connection_id, event.protocols)
    event.user_id = connection.user_id
    return Reply(headers={PROTOCOLS: SUBPROTOCOL})


def close_connection(services: Services, _sender: Sender, event: Event) -> Reply:
    """Forgets a connection that has ended."""
    closed = use_case.close_connection(services, event.connection_id)
    event.user_id = closed.user_id if closed else None
    return Reply()


ACTIONS = {CONNECT: open_connection, DISCONNECT: close_connection}
handler = create_handler("open_connection", ACTIONS)
