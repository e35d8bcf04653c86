"""The events that API Gateway sends to the functions of a WebSocket API (Lambda proxy integration)."""

import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from local.gateway.events import API_ID, new_request_id
from local.gateway.wire import Request

STAGE: Final = "realtime"
"""The stage's name here; on AWS, too, it is the path of the API's address."""

CONNECT: Final = "$connect"
DISCONNECT: Final = "$disconnect"
DEFAULT: Final = "$default"

_EVENT_TYPES: Final = {CONNECT: "CONNECT", DISCONNECT: "DISCONNECT", DEFAULT: "MESSAGE"}


@dataclass(frozen=True)
class Client:
    """Who has connected, and when, in milliseconds since 1970."""

    connection_id: str
    connected_at: int
    host: str
    source_ip: str
    user_agent: str | None

    @classmethod
    def of(cls, request: Request) -> "Client":
        """The client that sends a handshake; it gets a connection id, in AWS's form."""
        return cls(
            connection_id=new_request_id(),
            connected_at=int(time.time() * 1000),
            host=(request.header("host") or "localhost").rsplit(":", 1)[0],
            source_ip=request.source_ip,
            user_agent=request.header("user-agent"),
        )

    def identity(self) -> dict[str, str]:
        """What events, and the connection's management, say of the client."""
        agent = {} if self.user_agent is None else {"userAgent": self.user_agent}
        return {**agent, "sourceIp": self.source_ip}


def connect(client: Client, request: Request, request_id: str, port: int) -> dict[str, Any]:
    """The event of a handshake, the only one with the client's headers and query."""
    headers = {
        **_headers(request),
        **_forwarded(client),
        "X-Forwarded-Port": [str(port)],
        "X-Forwarded-Proto": ["http"],
    }
    query = parse_qs(request.query, keep_blank_values=True)
    named = {"queryStringParameters": _last(query), "multiValueQueryStringParameters": query} if query else {}
    return {
        "headers": _last(headers),
        "multiValueHeaders": headers,
        **named,
        "requestContext": _context(client, CONNECT, request_id),
        "isBase64Encoded": False,
    }


def message(client: Client, body: str, request_id: str, *, encoded: bool) -> dict[str, Any]:
    """The event of a message. `encoded`: the body is base64, of a binary message."""
    context = _context(client, DEFAULT, request_id) | {"messageId": new_request_id()}
    return {"requestContext": context, "body": body, "isBase64Encoded": encoded}


def disconnect(client: Client, request_id: str, code: int, reason: str) -> dict[str, Any]:
    """The event of a connection that has ended, with the code and the reason of its close frame."""
    headers = {"Host": [client.host], **_forwarded(client)}
    ended = {"disconnectStatusCode": code, "disconnectReason": reason}
    return {
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "requestContext": _context(client, DISCONNECT, request_id) | ended,
        "isBase64Encoded": False,
    }


def _context(client: Client, route_key: str, request_id: str) -> dict[str, Any]:
    now = time.time()
    return {
        "routeKey": route_key,
        "eventType": _EVENT_TYPES[route_key],
        "extendedRequestId": request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "messageDirection": "IN",
        "stage": STAGE,
        "connectedAt": client.connected_at,
        "requestTimeEpoch": int(now * 1000),
        "identity": client.identity(),
        "requestId": request_id,
        "domainName": client.host,
        "connectionId": client.connection_id,
        "apiId": API_ID,
    }


def _headers(request: Request) -> dict[str, list[str]]:
    """The headers with their values, under names as clients write them: `Sec-WebSocket-Protocol`.

    AWS leaves out the two that ask for the upgrade itself.
    """
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name not in {"connection", "upgrade"}:
            headers.setdefault(name.title().replace("Websocket", "WebSocket"), []).append(value)
    return headers


def _forwarded(client: Client) -> dict[str, list[str]]:
    return {"X-Forwarded-For": [client.source_ip]}


def _last(values: dict[str, list[str]]) -> dict[str, str]:
    return {name: each[-1] for name, each in values.items()}
