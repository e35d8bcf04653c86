"""The WebSocket side of the local API gateway: what an API Gateway WebSocket API does, at the path `/realtime`.

A handshake calls the function of `$connect`, each message that of `$default`, the end that of `$disconnect`. Functions
send to connections, and end them, by the management endpoint `/realtime/@connections/{id}`. Only `$default` is
implemented of the routes for messages: our API chooses by no other. Undocumented behaviour of AWS that is imitated:
a `$connect` whose function fails is 502, 410 has an empty body.

`PUT /realtime/@faults`, which AWS does not have, makes frames, invocations and ends fail (`local.gateway.push_faults`);
`GET` says how many, how many connections are open, and of which ends no function knows.
"""

import base64
import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.frames import CloseCode
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as HandshakeResponse
from websockets.server import ServerProtocol

from local.gateway import websocket_events as events
from local.gateway.connections import MAX_MESSAGE, BusyError, Connection, Durations, GoneError
from local.gateway.events import new_request_id
from local.gateway.invoke import FunctionFailedError, Invoker
from local.gateway.push_faults import MAX_DELAY, Faults
from local.gateway.results import MalformedResultError, to_answer
from local.gateway.server import Takeover
from local.gateway.throttling import Buckets, Concurrency
from local.gateway.websocket_events import Client
from local.gateway.wire import Request, Response
from local.template.load import FrameRoute, WebSocketApi

PATH: Final = f"/{events.STAGE}"
"""The path of the API's address."""

INTEGRATION_TIMEOUT: Final = 29.0
"""Seconds that a WebSocket API waits for a function at most."""

_CONNECTIONS: Final = f"{PATH}/@connections/"
_FAULTS: Final = f"{PATH}/@faults"
_KEPT: Final = 10_000  # ids of connections
_SUBPROTOCOL: Final = "sec-websocket-protocol"
_SIGNED: Final = "AWS4-HMAC-SHA256 "
_INTERNAL: Final = "Internal server error"
_SUCCESS: Final = range(200, 300)

LogRequest = Callable[[str, int, float, str], None]
"""Takes a route, its status, the seconds it took, and the request id."""


class WebSockets:
    """The connections of a WebSocket API.

    Args:
        api: its routes and limits.
        invoker: calls their functions.
        concurrency: the account's limit.
        log: takes a line when a function's result is none.
        log_request: takes a line for each handshake, message and end; frames that functions send have none.
        port: that clients call.
        durations: how long connections live.

    Attributes:
        faults: on the way to clients.
        untold: ids of connections that have ended without their function's success, the latest ones.
    """

    def __init__(
        self,
        api: WebSocketApi,
        invoker: Invoker,
        concurrency: Concurrency,
        *,
        log: Callable[[str], None],
        log_request: LogRequest,
        port: int,
        durations: Durations,
    ) -> None:
        self.faults = Faults()
        self.untold: deque[str] = deque(maxlen=_KEPT)
        self._api = api
        self._invoker = invoker
        self._concurrency = concurrency
        self._log = log
        self._log_request = log_request
        self._port = port
        self._durations = durations
        self._buckets = Buckets(api.throttle)
        self._connections: dict[str, Connection] = {}
        self._held: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Begin to close all connections."""
        for connection in list(self._connections.values()):
            connection.close(CloseCode.GOING_AWAY, "Going away")

    def respond(self, request: Request) -> Response | Takeover | None:
        """Respond to a request to one of the API's paths; None for all other paths."""
        if request.path == PATH:
            return self._open(request)
        if request.path.startswith(_CONNECTIONS):
            return self._manage(request, unquote(request.path.removeprefix(_CONNECTIONS)))
        return self._control(request) if request.path == _FAULTS else None

    # --- from clients ---

    def _open(self, request: Request) -> Response | Takeover:
        begin = time.perf_counter()
        request_id = new_request_id()
        response = self._handshake(request, request_id)
        status = response.status if isinstance(response, Response) else HTTPStatus.SWITCHING_PROTOCOLS
        self._log_request(events.CONNECT, status, time.perf_counter() - begin, request_id)
        return response

    def _handshake(self, request: Request, request_id: str) -> Response | Takeover:
        """The response of a refused handshake; else what serves the connection."""
        sent = Handshake(request.target, Headers(request.headers), request.method, f"HTTP/{request.version}")
        accepted = ServerProtocol().accept(sent)
        if accepted.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            return Response.message(HTTPStatus(accepted.status_code))
        client = Client.of(request)
        if not self._buckets.admits(events.CONNECT):
            return _error(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests", client, request_id)
        if route := self._api.routes.get(events.CONNECT):
            event = events.connect(client, request, request_id, self._port)
            try:
                answer = self._call(route, event)
            except FunctionFailedError:
                return _error(HTTPStatus.BAD_GATEWAY, _INTERNAL, client, request_id)
            if answer.status not in _SUCCESS:
                return answer
            for name, value in answer.headers:
                if name == _SUBPROTOCOL:
                    accepted.headers["Sec-WebSocket-Protocol"] = value
        return lambda connected: self._serve(client, connected, accepted)

    def _serve(self, client: Client, connected: socket.socket, accepted: HandshakeResponse) -> None:
        """Serve a connection until it has ended."""
        connection = Connection(client, connected, self._durations, accepted.serialize(), self._receive)
        self._connections[client.connection_id] = connection
        try:
            connection.read()
        finally:
            del self._connections[client.connection_id]
            self._held.pop(client.connection_id, None)
            self._tell_end(client, *connection.closed)

    def _tell_end(self, client: Client, code: int, reason: str) -> None:
        begin, request_id = time.perf_counter(), new_request_id()
        status: int = HTTPStatus.OK
        if self.faults.is_untold():
            self.untold.append(client.connection_id)
            return
        if route := self._api.routes.get(events.DISCONNECT):
            try:
                status = self._call(route, events.disconnect(client, request_id, code, reason)).status
            except FunctionFailedError as failed:
                status = failed.status
        if status not in _SUCCESS:
            self.untold.append(client.connection_id)
        self._log_request(f"{events.DISCONNECT} {code}", status, time.perf_counter() - begin, request_id)

    def _receive(self, connection: Connection, message: str | bytes) -> None:
        """Process a message; as on AWS those of one connection are processed side by side."""
        threading.Thread(
            target=self._process, args=(connection, message), name="message", daemon=True
        ).start()

    def _process(self, connection: Connection, message: str | bytes) -> None:
        begin, request_id = time.perf_counter(), new_request_id()
        status, answer = self._answered(connection.client, message, request_id)
        self._log_request(events.DEFAULT, status, time.perf_counter() - begin, request_id)
        if answer:
            # Nobody may wait for it any more, or read it.
            with contextlib.suppress(GoneError, BusyError):
                self._deliver(connection, answer, pushed=False)

    def _answered(self, client: Client, message: str | bytes, request_id: str) -> tuple[int, bytes]:
        """The status of a message's processing, and what is sent to the client."""
        route = self._api.routes.get(events.DEFAULT)
        if route is None:
            return _told(_error(HTTPStatus.FORBIDDEN, "Forbidden", client, request_id))
        if not self._buckets.admits(events.DEFAULT):
            return _told(_error(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests", client, request_id))
        encoded = isinstance(message, bytes)
        body = base64.b64encode(message).decode() if isinstance(message, bytes) else message
        try:
            answer = self._call(route, events.message(client, body, request_id, encoded=encoded))
        except FunctionFailedError:
            return _told(_error(HTTPStatus.INTERNAL_SERVER_ERROR, _INTERNAL, client, request_id))
        return answer.status, answer.body if route.answers else b""

    def _call(self, route: FrameRoute, event: dict[str, Any]) -> Response:
        """Call a route's function.

        Raises:
            FunctionFailedError: it has no result, or one that is none of a proxy integration, or cannot run now.
        """
        with self._concurrency.one() as has_room:
            if not has_room:
                raise FunctionFailedError(HTTPStatus.TOO_MANY_REQUESTS)
            result = self._invoker.call(route, event, time_limit=INTEGRATION_TIMEOUT)
        try:
            if not isinstance(result, dict) or "statusCode" not in result:
                raise MalformedResultError("the result has no statusCode")  # noqa: TRY301  # one place to log
            return to_answer(result)
        except MalformedResultError as error:
            self._log(f"{route.function}: {error}")
            raise FunctionFailedError(HTTPStatus.INTERNAL_SERVER_ERROR) from None

    # --- to clients ---

    def _manage(self, request: Request, connection_id: str) -> Response:
        """Respond to a call of the management endpoint. As the engines, it does not verify signatures."""
        if not (request.header("authorization") or "").startswith(_SIGNED):
            return _UNSIGNED
        if len(request.body) > MAX_MESSAGE:
            return _refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PayloadTooLargeException", "Payload Too Large"
            )
        connection = self._connections.get(connection_id)
        if connection is None:
            return _GONE
        if request.method == "POST":
            return self._post(connection, request.body)
        if request.method == "DELETE":
            connection.close(CloseCode.NORMAL_CLOSURE)
            return Response(HTTPStatus.NO_CONTENT)
        return _json(_described(connection)) if request.method == "GET" else _UNSIGNED

    def _post(self, connection: Connection, message: bytes) -> Response:
        if self.faults.is_from_the_dead():
            return Response(HTTPStatus.OK)
        try:
            self._deliver(connection, message, pushed=True)
        except GoneError:
            return _GONE
        except BusyError:
            return _refused(HTTPStatus.TOO_MANY_REQUESTS, "LimitExceededException", "Too Many Requests")
        return Response(HTTPStatus.OK)

    def _deliver(self, connection: Connection, message: bytes, *, pushed: bool) -> None:
        """Send a message, or let a fault strike it.

        Raises:
            GoneError: the connection has ended.
            BusyError: the client reads too slowly.
        """
        match self.faults.draw(pushed=pushed):
            case "dropped":
                return
            case "doubled":
                connection.send(message)
            case "delayed":
                _later(self.faults.fraction() * MAX_DELAY, connection, message)
                return
            case "reordered":
                self._hold(connection, message)
                return
            case "disconnected":
                connection.cut()
                return
            case "gone":
                raise GoneError
            case "busy":
                if self.faults.is_hit():
                    connection.send(message)
                raise BusyError
        connection.send(message)
        self._release(connection)

    def _hold(self, connection: Connection, message: bytes) -> None:
        """Keep a message until the connection's next one is sent, or for a while."""
        with self._lock:
            self._held.setdefault(connection.client.connection_id, []).append(message)
        timer = threading.Timer(MAX_DELAY, self._release, (connection,))
        timer.daemon = True
        timer.start()

    def _release(self, connection: Connection) -> None:
        with self._lock:
            held = self._held.pop(connection.client.connection_id, ())
        for message in held:
            _try(connection, message)

    def _control(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self.faults.arm(json.loads(request.body))
            except ValueError as error:
                return Response.message(HTTPStatus.BAD_REQUEST, str(error))
        return _json(
            {
                "chances": dataclasses.asdict(self.faults.chances),
                "struck": dict(self.faults.struck),
                "open": len(self._connections),
                "untold": list(self.untold),
            }
        )


def _later(seconds: float, connection: Connection, message: bytes) -> None:
    timer = threading.Timer(seconds, _try, (connection, message))
    timer.daemon = True
    timer.start()


def _try(connection: Connection, message: bytes) -> None:
    # The fault may have become a loss.
    with contextlib.suppress(GoneError, BusyError):
        connection.send(message)


def _described(connection: Connection) -> dict[str, Any]:
    client = connection.client
    return {
        "connectedAt": _time(client.connected_at),
        "identity": client.identity(),
        "lastActiveAt": _time(connection.last_active_at),
    }


def _time(milliseconds: int) -> str:
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03}Z"
    )


def _told(response: Response) -> tuple[int, bytes]:
    return response.status, response.body


def _error(status: HTTPStatus, message: str, client: Client, request_id: str) -> Response:
    """The API's own error, which a client gets as a response of the handshake or as a message."""
    return _json({"message": message, "connectionId": client.connection_id, "requestId": request_id}, status)


def _refused(status: HTTPStatus, kind: str, message: str) -> Response:
    return Response.message(status, message).with_headers(("x-amzn-errortype", kind))


def _json(document: object, status: int = HTTPStatus.OK) -> Response:
    return Response(status, (("content-type", "application/json"),), json.dumps(document).encode())


_GONE: Final = Response(HTTPStatus.GONE, (("x-amzn-errortype", "GoneException"),))
_UNSIGNED: Final = _refused(
    HTTPStatus.FORBIDDEN, "MissingAuthenticationTokenException", "Missing Authentication Token"
)
