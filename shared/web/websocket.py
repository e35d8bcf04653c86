"""Between Lambda's events of the WebSocket API and the use cases; without FastAPI, as there is nothing to route.

Lambda may pass any payload; every invocation gets a result, and one log line. Errors refuse ``$connect`` by their
status, and answer a frame by an ``error`` frame.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared import bootstrap
from shared.aws.sender import Sender
from shared.bootstrap import Services, known_error
from shared.domain.errors import BudgieError, MalformedRequestError
from shared.domain.frames import ref_of
from shared.domain.realtime import frame
from shared.observability import telemetry
from shared.observability.meter import Meter, start_meter
from shared.web.plain_handler import PlainHandler, warm_up

CONNECT: Final = "$connect"
DISCONNECT: Final = "$disconnect"
DEFAULT: Final = "$default"
_ROUTES: Final = {"CONNECT": CONNECT, "DISCONNECT": DISCONNECT, "MESSAGE": DEFAULT}
"""By the event's type. Its ``routeKey`` does not decide: API Gateway takes that of a message from its ``type``, which
a client chooses."""
PROTOCOLS: Final = "Sec-WebSocket-Protocol"
_CONNECTION_ID: Final = re.compile(r"""[!"$-~]{1,128}""")
"""Visible ASCII without ``#``, which separates the parts of a watch's key."""
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._=-]{1,64}")


@dataclass(slots=True)
class Event:
    """What concerns us of an event of the WebSocket API."""

    route: str
    connection_id: str
    request_id: str
    protocols: tuple[str, ...]
    """The subprotocols that a client offers on ``$connect``, among them its ticket."""
    body: str
    """A client's message; empty if it is not text."""
    user_id: str | None = None
    """For the log line, as are the others below; set by who finds it out."""
    kind: str | None = None
    """The type of the frame."""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A function's result: the status is for ``$connect``, the body is sent to the client of a frame."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] | None = None

    def result(self) -> dict[str, Any]:
        """In API Gateway's format."""
        made: dict[str, Any] = {"statusCode": self.status}
        if self.headers is not None:
            made["headers"] = dict(self.headers)
        if self.body is not None:
            made["body"] = self.body.decode()
        return made


Action = Callable[[Services, Sender, Event], Reply]


class Handler(PlainHandler):
    """The function's entry point; ``actions`` is what it does, by route."""

    def __init__(
        self,
        function: str,
        actions: Mapping[str, Action],
        services: Callable[[], Services],
        sender: Callable[[], Sender],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(function, services, sender, now)
        self._actions = actions

    def __call__(self, event: Any, context: Any = None) -> dict[str, Any]:  # noqa: ANN401, ARG002 - any payload
        """The result for an event."""
        started, meter = self._now(), start_meter(self._ledger)
        read, code = read_event(event), None
        try:
            reply = self._run(read)
        except Exception as error:  # noqa: BLE001 - an unexpected error is one answer and one log line
            known = known_error(error)
            if known is None:
                telemetry.log_crash(error, read.request_id if read else "none")
                known = BudgieError()
            reply, code = _refused(known, read), known.code
        self._log(read, reply.status, code, meter, (self._now() - started) * 1000)
        return reply.result()

    def _run(self, event: Event | None) -> Reply:
        if event is None or event.route not in self._actions:
            raise MalformedRequestError("This is not an event of the WebSocket API's routes.")
        return self._actions[event.route](self._services(), self._sender(), event)

    def _log(self, event: Event | None, status: int, code: str | None, meter: Meter, elapsed: float) -> None:
        ms = round(elapsed, 1)
        meter.close()
        fields = self._fields(meter, code, ms) | {"status": status, "conflicts": meter.conflicts}
        if event is not None:
            fields |= {
                "route": event.kind or event.route,
                "connection": event.connection_id,
                "request_id": event.request_id,
                **event.counts,
            }
        user_id = event.user_id if event else None
        telemetry.log_request(fields, meter, user_id=user_id, ms=ms, is_cold=self._cold, code=code)
        self._cold = False


def create_handler(function: str, actions: Mapping[str, Action]) -> Handler:
    """The handler that Lambda calls; ``function`` is the name of its folder. On Lambda all is built during INIT."""
    warm_up()
    return Handler(function, actions, bootstrap.services, bootstrap.sender)


def _refused(error: BudgieError, event: Event | None) -> Reply:
    if event is None or event.route != DEFAULT:
        return Reply(error.status)
    return Reply(body=frame("error", code=error.code, detail=error.detail, ref=ref_of(event.body)))


# --- what is an event ---


def read_event(given: Any) -> Event | None:  # noqa: ANN401 - any payload
    """The event; None if it is any other payload, or a field that is read has the wrong type."""
    context = given.get("requestContext") if isinstance(given, dict) else None
    if not isinstance(context, dict):
        return None
    kind, connection_id, body = context.get("eventType"), context.get("connectionId"), given.get("body")
    if not isinstance(kind, str) or not isinstance(connection_id, str):
        return None
    route = _ROUTES.get(kind)
    if route is None or not _CONNECTION_ID.fullmatch(connection_id):
        return None
    is_text = isinstance(body, str) and given.get("isBase64Encoded") is not True
    return Event(
        route=route,
        connection_id=connection_id,
        request_id=_request_id(context),
        protocols=_protocols(given),
        body=body if is_text else "",
    )


def _request_id(context: dict[str, Any]) -> str:
    given = context.get("requestId")
    return given if isinstance(given, str) and _REQUEST_ID.fullmatch(given) else "none"


def _protocols(given: dict[str, Any]) -> tuple[str, ...]:
    """All that the headers name; a header that is sent repeatedly is whole only in ``multiValueHeaders``."""
    found: list[str] = []
    for headers in (given.get("multiValueHeaders"), given.get("headers")):
        for name, value in headers.items() if isinstance(headers, dict) else ():
            if isinstance(name, str) and name.lower() == PROTOCOLS.lower():
                values = value if isinstance(value, list) else [value]
                found += [
                    part.strip() for each in values if isinstance(each, str) for part in each.split(",")
                ]
        if found:
            break
    return tuple(found)
