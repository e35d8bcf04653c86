"""Users of the WebSocket API: the functions as API Gateway calls them, in process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from functions.open_connection import handler as open_connection
from functions.receive_frame import handler as receive_frame
from shared.web.websocket import Handler
from tests.realtime.frames import check
from tests.realtime.senders import FakeSender

if TYPE_CHECKING:
    from tests.api import Api

Event = dict[str, Any]


def event(route: str, connection_id: str, **rest: Any) -> Event:
    """A WebSocket API's event."""
    kinds = {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}
    context = {
        "routeKey": route,
        "eventType": kinds.get(route, "MESSAGE"),
        "messageDirection": "IN",
        "connectionId": connection_id,
        "connectedAt": 1_795_459_464_000,
        "requestId": "request-1=",
        "requestTimeEpoch": 1_795_459_464_000,
        "stage": "v1",
        "domainName": "realtime.example.com",
        "apiId": "realtime",
        "identity": {"sourceIp": "192.0.2.1"},
    }
    return {"requestContext": context, "isBase64Encoded": False} | rest


class Connections:
    """Connections of users of the API.

    Attributes:
        sender: has what other connections were sent.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.sender = FakeSender()
        self.opening = self._handler("open_connection", open_connection.ACTIONS)
        self.receiving = self._handler("receive_frame", receive_frame.ACTIONS)

    def _handler(self, function: str, actions: Any) -> Handler:
        return Handler(function, actions, lambda: self._api.services, lambda: self.sender)

    def ticket(self, user: str = "ada") -> str:
        """A new ticket."""
        response = self._api("POST", "/v1/realtime/tickets", user=user)
        assert response.status == 201, response.body
        return str(response.json["ticket"])

    def connect(self, connection_id: str, protocols: str) -> dict[str, Any]:
        """The result for a client that offers these subprotocols."""
        return self.opening(event("$connect", connection_id, headers={"Sec-WebSocket-Protocol": protocols}))

    def open(self, connection_id: str, user: str = "ada") -> str:
        """Opens a connection; returns its id."""
        result = self.connect(connection_id, f"budgie.v1, {self.ticket(user)}")
        assert result == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "budgie.v1"}}
        return connection_id

    def close(self, connection_id: str) -> dict[str, Any]:
        """The result for a connection that has ended."""
        return self.opening(event("$disconnect", connection_id))

    def send(self, connection_id: str, kind: str, **fields: Any) -> dict[str, Any] | None:
        """The answer to a frame, which follows its schema; None if there is none."""
        return self.text(connection_id, json.dumps({"v": 1, "type": kind} | fields))

    def text(self, connection_id: str, text: str) -> dict[str, Any] | None:
        """The answer to a message."""
        result = self.receiving(event("$default", connection_id, body=text))
        assert result["statusCode"] == 200
        return check(result["body"].encode()) if "body" in result else None

    def watch(self, connection_id: str, *logs: dict[str, Any]) -> dict[str, Any]:
        """The answer to watching."""
        answer = self.send(connection_id, "watch", channels=list(logs))
        assert answer
        return answer
