"""Receiving frames from clients: the route `$default`, whose result's body is sent to the client."""

from __future__ import annotations

from shared.aws.sender import Sender
from shared.bootstrap import Services
from shared.domain.frames import parse
from shared.use_cases import receive_frame as use_case
from shared.web.websocket import DEFAULT, Event, Reply, create_handler


def receive_frame(services: Services, sender: Sender, event: Event) -> Reply:
    """Answers a frame."""
    frame = parse(event.body)
    event.kind = frame.type
    connection = use_case.find_connection(services, event.connection_id)
    event.user_id = connection.user_id
    answer = use_case.receive_frame(services, sender, connection, frame)
    event.counts = answer.sent
    return Reply(body=answer.frame)


ACTIONS = {DEFAULT: receive_frame}
handler = create_handler("receive_frame", ACTIONS)
