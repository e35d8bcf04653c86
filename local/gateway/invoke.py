"""Calls functions as Lambda does: with a context and a time limit, in reused threads.

One process runs all containers, and handlers run in many threads at once. When a function times out, the client gets a
response and the function is left alone: Lambda ends the container, but here the thread ends when the function does.
"""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar

from local.gateway.loading import Functions, Handler, HandlerNotLoadedError
from local.gateway.results import MalformedResultError, to_answer
from local.gateway.wire import Response
from local.template.load import Function, Route

MAX_EVENT: Final = 6 * 1024 * 1024
"""Lambda's limit for an event as JSON, in bytes."""

MAX_RESULT: Final = MAX_EVENT + 100
"""Lambda's limit for a result as JSON, in bytes: slightly more than for an event, as observed."""

INIT_TIMEOUT: Final = 30.0
"""Seconds that importing a handler may take. Lambda allows 10, on a machine that does nothing else."""

INTEGRATION_TIMEOUT: Final = 30.0
"""Seconds that an HTTP API waits for a function at most."""

# A character takes at most six bytes in escaped JSON: events below this size need not be measured.
_SURELY_SMALL_BODY: Final = MAX_EVENT // 6 - 100_000

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Raised:
    """An exception that a call raised."""

    error: BaseException


_Outcome: TypeAlias = SimpleQueue[_Result | _Raised]


class OvertimeError(Exception):
    """The call exceeded its time limit."""


class FunctionFailedError(Exception):
    """The function has no result. `status`: what an HTTP API responds."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status: Final = status


class Context:
    """Lambda's description of an invocation for its handler. `memory_limit_in_mb` is text, as in Lambda itself."""

    def __init__(self, function: Function) -> None:
        self._deadline = time.monotonic() + function.timeout
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = function.function
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function.function}"
        self.memory_limit_in_mb = str(function.memory)
        self.log_group_name = f"/aws/lambda/{function.function}"
        self.log_stream_name = "local"
        self.identity = None
        self.client_context = None

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time limit, never less than 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class Invoker:
    """Calls functions, and for routes of the HTTP API converts the outcome to HTTP.

    Args:
        functions: source of the handlers; closed together with this.
        integration_timeout: seconds that the API waits for a function, whatever the function's own limit.
        log: takes a line when a function fails. It names the place, never the error's text or the event.
    """

    def __init__(
        self,
        functions: Functions,
        *,
        integration_timeout: float = INTEGRATION_TIMEOUT,
        log: Callable[[str], None] = print,
    ) -> None:
        self._functions = functions
        self._integration_timeout = integration_timeout
        self._log = log
        self._workers = Workers()

    def close(self) -> None:
        """End the idle threads."""
        self._workers.close()
        self._functions.close()

    def invoke(self, route: Route, event: dict[str, Any]) -> Response:
        """Call a route's function with an event."""
        if len(event.get("body", "")) > _SURELY_SMALL_BODY and len(json.dumps(event)) > MAX_EVENT:
            # The API accepts 10 MB, Lambda 6: a body in between gets the same status from Lambda.
            return Response.message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
        try:
            return to_answer(self.call(route, event, time_limit=self._integration_timeout))
        except FunctionFailedError as failed:
            return Response.message(failed.status)
        except MalformedResultError as error:
            self._log(f"{route.function}: {error}")
            return Response.message(HTTPStatus.INTERNAL_SERVER_ERROR)

    def call(self, function: Function, event: dict[str, Any], *, time_limit: float) -> Any:  # noqa: ANN401  # any JSON
        """Call a function with an event; returns its result, as read from JSON.

        Args:
            function: which one.
            event: its event.
            time_limit: seconds that the caller waits at most, whatever the function's own limit.

        Raises:
            FunctionFailedError: there is no result; the reason is logged.
        """
        try:
            result = self._call(function, event, min(function.timeout, time_limit))
            if len(result) > MAX_RESULT:
                raise MalformedResultError("the result is larger than 6 MB")  # noqa: TRY301  # one place to log
            return json.loads(result)
        except OvertimeError:
            raise self._overtime(function, time_limit) from None
        except (HandlerNotLoadedError, MalformedResultError) as error:
            self._log(f"{function.function}: {error}")
        except Exception as error:  # noqa: BLE001  # a handler may raise anything; the client gets the same 500
            self._log(f"{function.function} raised {self._functions.place(error)}")
        raise FunctionFailedError(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _call(self, function: Function, event: dict[str, Any], time_limit: float) -> bytes:
        """The function's result as JSON; the time to import the function does not count."""
        handler = self._functions.loaded(function.handler)
        if handler is None:
            handler = self._workers.run(lambda: self._functions.load(function.handler), INIT_TIMEOUT)
        return self._workers.run(lambda: _invoked(handler, event, function), time_limit)

    def _overtime(self, function: Function, time_limit: float) -> FunctionFailedError:
        """A function's own timeout is an error of the function; after the API's timeout there is no response."""
        if function.timeout <= time_limit:
            self._log(f"{function.function} timed out after {function.timeout:g} s")
            return FunctionFailedError(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._log(f"{function.function} did not respond within the API's {time_limit:g} s")
        return FunctionFailedError(HTTPStatus.SERVICE_UNAVAILABLE)


class Workers:
    """Threads that run calls. Each has its own event loop, which Mangum expects."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []

    def run(self, call: Callable[[], _Result], timeout: float) -> _Result:
        """Run a call in a thread and wait for it; its exceptions are raised here.

        Args:
            call: what to run.
            timeout: seconds to wait.

        Raises:
            OvertimeError: it took longer. It continues, and its result is dropped.
        """
        with self._lock:
            worker = self._idle.pop() if self._idle else self._start()
        # A queue takes half the time of a `Future`, which can do more.
        outcome: _Outcome[_Result] = SimpleQueue()
        worker.calls.put(lambda: _settle(outcome, call))
        try:
            settled = outcome.get(timeout=timeout)
        except Empty:
            raise OvertimeError from None
        if not isinstance(settled, _Raised):
            return settled
        try:
            raise settled.error
        finally:
            del (
                settled
            )  # The error's traceback refers to this frame: the cycle would wait for a garbage collection.

    def close(self) -> None:
        """End the idle threads; a busy one ends with its call."""
        with self._lock:
            idle = list(self._idle)
            for worker in self._all:
                worker.calls.put(None)
        for worker in idle:
            worker.join(timeout=5)

    def _start(self) -> "_Worker":
        worker = _Worker(self._rest)
        self._all.append(worker)
        worker.start()
        return worker

    def _rest(self, worker: "_Worker") -> None:
        with self._lock:
            self._idle.append(worker)


class _Worker(threading.Thread):
    """Runs calls one after the other until it gets None. A daemon: a hanging function does not block the exit."""

    def __init__(self, on_idle: Callable[["_Worker"], None]) -> None:
        super().__init__(name="function", daemon=True)
        self.calls: SimpleQueue[Callable[[], Callable[[], None]] | None] = SimpleQueue()
        self._on_idle = on_idle

    def run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            while call := self.calls.get():
                tell = call()
                # Idle before the caller continues, so that its next call uses this thread again.
                self._on_idle(self)
                tell()
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _settle(outcome: _Outcome[_Result], call: Callable[[], _Result]) -> Callable[[], None]:
    """Run a call; returns a function that delivers its outcome."""
    try:
        result = call()
    except SystemExit as error:
        # A function that calls exit fails alone.
        failure = RuntimeError("exit").with_traceback(error.__traceback__)
        return lambda: outcome.put(_Raised(failure))
    except BaseException as error:  # noqa: BLE001  # the thread lives on, and the caller is told
        failed = error
        return lambda: outcome.put(_Raised(failed))
    return lambda: outcome.put(result)


def _invoked(handler: Handler, event: dict[str, Any], function: Function) -> bytes:
    result = handler(event, Context(function))
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedResultError("the result is no JSON") from error
