"""What surrounds each request: its id, meter, headers, log line and metrics, and the handling of errors."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from shared.domain import keys
from shared.domain.errors import (
    BudgieError,
    ChannelNotFoundError,
    MalformedRequestError,
    PayloadTooLargeError,
)
from shared.observability.meter import Ledger, Meter, start_meter
from shared.observability.telemetry import log_crash, log_request, logger, sample
from shared.web.adapter import NO_EVENT
from shared.web.identity import user_of
from shared.web.problems import as_budgie_error, problem

Header = tuple[bytes, bytes]

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 2_000_000
"""Characters of a body: more than the largest batch has when each character is escaped."""
SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
)
"""On every response; docs/security.md has the reasons."""
CACHE_CONTROL: Final = b"cache-control"
NOT_STORED: Final = (CACHE_CONTROL, b"no-store")
"""Unless the route sets another: responses are for their caller only."""
HIDDEN_SECONDS: Final = 0.03
"""The minimum latency of ``channel_not_found``: the storage rarely takes longer to find that out."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._=-]{1,64}\Z")
_TRACE_ROOT = re.compile(r"(?:\A|;)Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|\Z)")


class RequestMiddleware:
    """Runs a request, and responds if its route raises an error.

    Args:
        app: the routes.
        function: the function's name in log lines.
        now: a monotonic clock in seconds.
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
        """Sends a response in every case, and logs one line."""
        started, meter = self._now(), start_meter(self._ledger)
        state = scope.setdefault("state", {})
        state["request_id"], state["user_id"] = request_id(scope), user_of(scope.get("aws.event"))
        status = 0
        if sample():
            _log_details(scope)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                is_hidden = state.get("error_code") == ChannelNotFoundError.code
                if is_hidden:
                    self._pad_latency(started)
                elapsed = (self._now() - started) * 1000
                # Read units may differ between a hidden channel and none, so they are not shown.
                timing = f"total;dur={elapsed:.1f}" if is_hidden else meter.server_timing(elapsed)
                message["headers"] = [*message["headers"], *_headers(message["headers"], state, timing)]
            await send(message)

        try:
            _refuse(scope)
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - an unexpected error is one JSON 500 and one log line
            known = as_budgie_error(error)
            if known is None:
                log_crash(error, state["request_id"])
                known = BudgieError()
            state["error_code"] = known.code
            await problem(known, state["request_id"])(scope, receive, send_with_headers)
        self._log(scope, status, meter, (self._now() - started) * 1000)

    def _pad_latency(self, started: float) -> None:
        """Waits until ``HIDDEN_SECONDS`` have passed, so that the latency does not tell a hidden channel from none.

        Blocks, because a container serves one request at a time. An event loop rounds waits to milliseconds from their
        start, which would reveal the difference again.
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
            "api_request_id": _id_in_access_log(scope),
            "trace": trace_root(event),
        }
        log_request(fields, meter, user_id=scope["state"]["user_id"], ms=ms, is_cold=self._cold, code=code)
        self._cold = False


def _refuse(scope: Scope) -> None:
    """Raises an error if the event must not reach a route."""
    event = scope.get("aws.event", {})
    if event is NO_EVENT:
        detail = "This is not an event of an API Gateway HTTP API with payload format 2.0."
        raise MalformedRequestError(detail)
    if len(event.get("body") or "") > MAX_BODY:
        raise PayloadTooLargeError


def _channel_of(scope: Scope) -> str | None:
    """The channel's id; None if the client sent anything else in its place, which is not logged."""
    given = (scope.get("path_params") or {}).get("channel_id")
    return given if given and keys.is_channel_id(given) else None


def _costs(meter: Meter) -> dict[str, Any]:
    """What the request used."""
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
    """The trace id in ``X-Amzn-Trace-Id``, which API Gateway sets unless the client did."""
    found = _TRACE_ROOT.search(str(event.get("headers", {}).get("x-amzn-trace-id", "")))
    return found and found[1]


def _log_details(scope: Scope) -> None:
    """Logs the outline of a sampled request; never a client's texts."""
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
    """The client's ``X-Request-Id`` if it is well-formed, else API Gateway's."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.match(value.decode("latin-1")):
            return str(value.decode())
    return _api_request_id(scope)


def _api_request_id(scope: Scope) -> str:
    given = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    return given if isinstance(given, str) and _REQUEST_ID.match(given) else "none"


def _id_in_access_log(scope: Scope) -> str | None:
    """API Gateway's id, as in its access log, if the client sent an id of its own."""
    found = _api_request_id(scope)
    return None if found == scope["state"]["request_id"] else found


def _headers(given: list[Header], state: dict[str, Any], timing: str) -> list[Header]:
    added = [(b"x-request-id", state["request_id"].encode()), (b"server-timing", timing.encode()), *SECURITY]
    return added if CACHE_CONTROL in dict(given) else [*added, NOT_STORED]
