"""One request, from outside: its id, its meter, its headers, its log line and metrics, and its last resort."""

from __future__ import annotations

import re
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from shared.domain import keys
from shared.domain.errors import (
    BudgieError,
    ChannelNotFoundError,
    MalformedRequestError,
    PayloadTooLargeError,
)
from shared.observability.meter import Ledger, Meter, start_meter
from shared.observability.telemetry import log_request, logger, sample
from shared.web.events import NO_EVENT
from shared.web.identity import user_hash, user_of
from shared.web.problems import as_budgie_error, problem
from shared.web.routing import find_base

Header = tuple[bytes, bytes]

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 2_000_000
"""Characters of a body: above the largest batch, in which each character is escaped."""
SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
)
"""On every answer; why these, says docs/security.md."""
CACHE_CONTROL: Final = b"cache-control"
NOT_STORED: Final = (CACHE_CONTROL, b"no-store")
"""Where the route says nothing else: answers are their caller's alone."""
HIDDEN_SECONDS: Final = 0.03
"""Before which nobody hears that there is no such channel: more than the storage takes for it but now and then."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._=-]{1,64}\Z")
_TRACE_ROOT = re.compile(r"(?:\A|;)Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|\Z)")


class RequestMiddleware:
    """Around all routes, and what answers where one raises an error.

    Args:
        app: the routes.
        function: the name that its log lines carry.
        now: seconds that only go forward.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        function: str,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._app = app
        self.function = function
        self._now = now
        self.sleep = sleep
        self._cold = True
        self._ledger = Ledger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, whatever happens, and logs one line."""
        started, meter = self._now(), start_meter(self._ledger)
        state = scope.setdefault("state", {})
        state["request_id"], state["user_id"] = request_id(scope), user_of(scope.get("aws.event"))
        status = 0
        if sample():
            _log_details(scope)

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                is_hidden = state.get("error_code") == ChannelNotFoundError.code
                if is_hidden:
                    self._pad_latency(started)
                elapsed = (self._now() - started) * 1000
                # An engine may not charge for what is not there: the units would tell a hidden channel from none.
                timing = f"total;dur={elapsed:.1f}" if is_hidden else meter.server_timing(elapsed)
                message["headers"] = [*message["headers"], *_headers(message["headers"], state, timing)]
            await send(message)

        try:
            _refuse(scope)
            await self._app(scope, receive, observed_send)
        except Exception as error:  # noqa: BLE001 - the last resort: a crash is one JSON 500 and one log line
            known = as_budgie_error(error)
            if known is None:
                log_crash(error, state["request_id"])
                known = BudgieError()
            state["error_code"] = known.code
            await problem(known, state["request_id"])(scope, receive, observed_send)
        self._log(scope, status, meter, (self._now() - started) * 1000)

    def _pad_latency(self, started: float) -> None:
        """Lets the time tell a hidden channel from none as little as the words do: a head is read, or none.

        Blocks, as a container has one request at a time. An event loop would wake up on a millisecond counted from when
        it was asked, and so tell the difference all the same.
        """
        left = HIDDEN_SECONDS - (self._now() - started)
        if left > 0:
            self.sleep(left)

    def _log(self, scope: Scope, status: int, meter: Meter, elapsed: float) -> None:
        event, code, ms = scope.get("aws.event", {}), scope["state"].get("error_code"), round(elapsed, 1)
        meter.close()
        fields = {
            "function": self.function,
            "route": event.get("routeKey"),
            "channel": _channel_of(scope),
            "user": user_hash(scope["state"]["user_id"]),
            "status": status,
            "code": code,
            "aws_error": meter.aws_error,
            "ms": ms,
            "cold": self._cold,
            **_costs(meter),
            "redis": meter.commands or None,
            "redis_failures": meter.failures or None,
            "redis_breaker": meter.breaker,
            "redis_pending": meter.is_redis_pending or None,
            "request_id": scope["state"]["request_id"],
            "api_request_id": _other_id(scope),
            "trace": trace_root(event),
        }
        log_request(fields, meter, ms=ms, is_cold=self._cold, code=code)
        self._cold = False


def _refuse(scope: Scope) -> None:
    """Raises an error for an event that is not looked at any further."""
    event = scope.get("aws.event", {})
    if event is NO_EVENT:
        detail = "This is no event of an API Gateway HTTP API, payload format 2.0."
        raise MalformedRequestError(detail)
    scope["state"]["base_path"] = find_base(event, scope["path"])
    if len(event.get("body") or "") > MAX_BODY:
        raise PayloadTooLargeError


def _channel_of(scope: Scope) -> str | None:
    """The channel's id; anything else that stands in its place is the client's own words."""
    given = (scope.get("path_params") or {}).get("channel_id")
    return given if given and keys.is_channel_id(given) else None


def _costs(meter: Meter) -> dict[str, Any]:
    """What the request did, and what that costs."""
    return {
        "tier": meter.tier,
        "hit_rate": meter.hit_rate,
        "read_units": meter.read_units,
        "write_units": meter.write_units,
        "calls": meter.calls,
        "conflicts": meter.conflicts,
        "voids": meter.voids,
        "redis_commands": meter.redis_commands,
    }


def trace_root(event: dict[str, Any]) -> str | None:
    """The trace that ``X-Amzn-Trace-Id`` names, which API Gateway sets where the client did not."""
    found = _TRACE_ROOT.search(str(event.get("headers", {}).get("x-amzn-trace-id", "")))
    return found and found[1]


def _log_details(scope: Scope) -> None:
    """The request's outline, for a sample of them; never what a client wrote."""
    event = scope.get("aws.event", {})
    headers = event.get("headers", {})
    logger().debug(
        "request begins",
        route=event.get("routeKey"),
        body_characters=len(event.get("body") or ""),
        conditional="if-none-match" in headers or "if-match" in headers,
        idempotent="idempotency-key" in headers,
        request_id=scope["state"]["request_id"],
    )


def request_id(scope: Scope) -> str:
    """The client's ``X-Request-Id`` if it looks like one, else API Gateway's."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.match(value.decode("latin-1")):
            return str(value.decode())
    return _api_request_id(scope)


def _api_request_id(scope: Scope) -> str:
    given = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    return given if isinstance(given, str) and _REQUEST_ID.match(given) else "none"


def _other_id(scope: Scope) -> str | None:
    """API Gateway's id, which its access log has, where the client gave one of its own."""
    found = _api_request_id(scope)
    return None if found == scope["state"]["request_id"] else found


def _headers(given: list[Header], state: dict[str, Any], timing: str) -> list[Header]:
    added = [(b"x-request-id", state["request_id"].encode()), (b"server-timing", timing.encode()), *SECURITY]
    return added if CACHE_CONTROL in dict(given) else [*added, NOT_STORED]


def log_crash(error: Exception, request_id: str) -> None:
    """One line for an error that nobody foresaw: where it happened, not its message, which may quote the request."""
    frames: list[Any] = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    logger().error("crash", error=type(error).__qualname__, frames=frames[-8:], request_id=request_id)
