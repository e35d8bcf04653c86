"""The only module that calls Upstash Redis: the ``upstash-redis`` SDK with deadlines, named failures and a breaker.

Each call ends in time, whatever the server, the network or the resolver do. Only reads are repeated, at most once. Any
exception of the SDK becomes a ``RedisError``. One warm connection is kept for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from shared.aws.parameters import SecretUnavailableError
from shared.cache.allowance import Allowance
from shared.cache.breaker import Breaker
from shared.cache.refusals import ANSWERED, useless_until
from shared.cache.sdk import SdkClient, failure_kind, load
from shared.observability.meter import CacheMetrics, meter
from shared.observability.telemetry import logger
from shared.runtime.parallel import start_thread

READS: Final = frozenset({"GET", "MGET", "PING"})
FREE: Final = frozenset({"PING", "INFO"})
"""Commands that are not billed, so not counted."""
RETRY_WITHIN: Final = 0.5
"""A read is repeated only if a kept connection failed within this share of the read timeout; later there is no time."""
READY_SECONDS: Final = 4.0
"""The limit for making a client: loading the SDK, and reading the token, which may take 3 s."""
WOKEN_SECONDS: Final = 0.5
"""Lambda freezes a container between two requests, along with a running command. After it wakes, the deadline has
passed, but the response may have arrived long ago: the command's own thread waits this much longer for it."""

PROBES_AT_ONCE: Final = 10
PROBE_EVERY_MS: Final = 10 * 60_000
"""Probes have two billed commands: at most some 300 commands a day in a container, however often health is checked."""


class RedisError(Exception):
    """A command failed; ``kind`` is the kind of failure, for metrics."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class UpstashOptions:
    """The database's address and the limits of commands; times in milliseconds.

    If ``token`` is empty, ``read_token`` reads it, when it is first needed and after it was refused.
    """

    url: str
    token: str = field(repr=False)
    connect_ms: int = 200
    read_ms: int = 300
    wait_ms: int = 50
    """How long a request waits for a command. Connecting in a cold container takes longer and is not waited for."""
    breaker_failures: int = 3
    breaker_open_ms: int = 10_000
    keep_alive_seconds: float = 60.0
    read_token: Callable[[], str] | None = None


class _Attempt:
    """One try of a command, in its own thread; the caller may stop waiting for it."""

    def __init__(self, begun_ms: int) -> None:
        self.begun_ms = begun_ms
        self.is_ready, self.is_done = threading.Event(), threading.Event()
        self.is_abandoned = False
        self.client: SdkClient | None = None
        self.result: Any = None
        self.failure: str | None = None


class Upstash:
    """Runs commands on one database, one at a time.

    Args:
        options: the database's address, and the limits.
        metrics: counts commands and failures.
        now: milliseconds since 1970.
        connect: makes the SDK's client from address, token, and the timeouts for connecting and reading in seconds.
    """

    def __init__(
        self,
        options: UpstashOptions,
        metrics: CacheMetrics,
        now: Callable[[], int],
        connect: Callable[[str, str, float, float], SdkClient] = SdkClient,
    ) -> None:
        self._options = options
        self._metrics = metrics
        self._now = now
        self._connect = connect
        self._lock = threading.Lock()
        self._taken = threading.Lock()
        """Held while a command runs."""
        self._client: SdkClient | None = None
        self._token_read: str | None = None
        self._idle: threading.Timer | None = None
        self._under_way = 0
        self.breaker = Breaker(now, options.breaker_failures, options.breaker_open_ms)
        self.probes = Allowance(PROBES_AT_ONCE, PROBE_EVERY_MS, now)
        """Limits the health check's billed commands."""

    @property
    def budget_seconds(self) -> float:
        """The longest time that a request waits for a command; then it reads DynamoDB while the command goes on."""
        return min(self._options.wait_ms, self._options.read_ms) / 1000

    @property
    def deadline_seconds(self) -> float:
        """The longest time that a command takes once there is a client."""
        return (self._options.connect_ms + self._options.read_ms) / 1000

    def warm_up(self) -> None:
        """Loads the SDK, and makes its client if the settings have the token; opens no connection, raises nothing."""
        with suppress(Exception):  # the first command will report the failure
            load()
            if self._options.token:
                with self._lock:
                    self._client = self._client or self._make_client()

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - any result of Redis
        """Runs one command and returns its result.

        Raises:
            RedisError: it failed, or was not tried because the breaker is open.
        """
        if not self.breaker.allows():
            meter().breaker = self.breaker.cause
            raise RedisError("breaker_open")
        started, ledger = time.perf_counter(), meter().ledger
        ledger.begin()
        kind: str | None = "client"
        try:
            result = self._execute(reason, command, arguments, started)
            kind = None
        except RedisError as error:
            kind = error.kind
            raise
        finally:
            # In any case: a breaker that allowed a probe needs its outcome, or it would stay half open for ever.
            self._report(kind)
            ledger.end(kind)
            self._metrics.count("redis_ms", round((time.perf_counter() - started) * 1000))
        return result

    def give_up(self, kind: str, until: int) -> None:
        """Sends no command until a time (ms since 1970), for a failure outside of the database."""
        self._metrics.count(f"failure.{kind}")
        meter().ledger.failed(kind)
        self.breaker.failed(until, kind)

    def _execute(self, reason: str, command: str, arguments: tuple[str | int, ...], started: float) -> Any:  # noqa: ANN401 - as above
        try:
            return self._once(reason, command, arguments)
        except RedisError as error:
            spent = time.perf_counter() - started
            late = spent > self._options.read_ms / 1000 * RETRY_WITHIN
            if error.kind != "disconnected" or command not in READS or late:
                raise
        # The server had closed the kept connection: a read may be repeated.
        return self._once(reason, command, arguments, spent)

    def _once(self, reason: str, command: str, arguments: tuple[str | int, ...], spent: float = 0.0) -> Any:  # noqa: ANN401 - as above
        if not self._taken.acquire(timeout=self.deadline_seconds + (0 if self._client else READY_SECONDS)):
            raise RedisError("timeout")
        attempt = _Attempt(self._now())
        try:
            self._keep_open()
            # In a thread: a resolver cannot be cancelled, and each byte of a response restarts httpx's timeout.
            start_thread(lambda: self._try(attempt, reason, [command, *arguments]))
            self._wait(attempt, self.deadline_seconds - spent)
        finally:
            self._let_idle()
            self._taken.release()
        if attempt.failure:
            # Not "from error": some of the SDK's errors quote headers, and so the token.
            raise RedisError(attempt.failure)
        return attempt.result

    def _wait(self, attempt: _Attempt, seconds: float) -> None:
        if attempt.is_ready.wait(READY_SECONDS) and attempt.is_done.wait(seconds):
            return
        asleep = self._now() - attempt.begun_ms > (READY_SECONDS + seconds + WOKEN_SECONDS) * 1000
        if asleep and attempt.is_done.wait(WOKEN_SECONDS):
            return
        with self._lock:
            if attempt.is_done.is_set():  # it ended at the last moment
                return
            attempt.is_abandoned = True
            if self._client is attempt.client:
                self._client = None
        if attempt.client:
            attempt.client.end()
        attempt.failure = "timeout"

    def _try(self, attempt: _Attempt, reason: str, command: list[str | int]) -> None:
        """Runs a command; raises nothing, and closes its client if nobody waits any more."""
        client: SdkClient | None = None
        failure: str | None = None
        try:
            client = self._borrow(attempt)
            if client:
                attempt.result = client.execute(command, lambda: self._count(reason, str(command[0])))
        except RedisError as error:
            failure = error.kind
        except Exception as error:  # noqa: BLE001 - any exception is only a failed command
            failure = failure_kind(error) if client else "client"
            if failure == "client":
                logger().error("cache", redis=failure, error=type(error).__qualname__)
        with self._lock:
            is_abandoned = attempt.is_abandoned
            if not is_abandoned:
                attempt.failure = failure
            attempt.is_ready.set()
            attempt.is_done.set()
        if is_abandoned and client:
            client.close()

    def _count(self, reason: str, command: str) -> None:
        if command not in FREE:
            self._metrics.command(reason)
            meter().command(reason)

    def _borrow(self, attempt: _Attempt) -> SdkClient | None:
        """The client; None if nobody waits for the attempt any more."""
        with self._lock:
            client = self._client
        client = client or self._make_client()
        with self._lock:
            if attempt.is_abandoned:
                if self._client is not client:
                    client.close()
                return None
            self._client = attempt.client = client
            attempt.is_ready.set()
            return client

    def _make_client(self) -> SdkClient:
        token = self._token()
        if not (token.isascii() and token.isprintable()):
            # It would not be a valid header; the HTTP library would quote it in its debug log.
            raise RedisError("refused_token")
        options = self._options
        return self._connect(options.url, token, options.connect_ms / 1000, options.read_ms / 1000)

    def _token(self) -> str:
        if self._options.token or self._options.read_token is None:
            return self._options.token
        if self._token_read is None:
            try:
                self._token_read = self._options.read_token()
            except SecretUnavailableError:
                raise RedisError("no_token") from None
        return self._token_read

    def close(self) -> None:
        """Closes the connection; the next command opens another."""
        with self._lock:
            self._forget_idle()
            self._hang_up()

    def _keep_open(self) -> None:
        with self._lock:
            self._forget_idle()
            self._under_way += 1

    def _let_idle(self) -> None:
        """Closes the connection after ``keep_alive_seconds`` without a command, as plans limit connections."""
        with self._lock:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle = threading.Timer(self._options.keep_alive_seconds, self._close_idle)
                self._idle.daemon = True
                self._idle.start()

    def _close_idle(self) -> None:
        # When Lambda wakes a container after the keep-alive, this runs in parallel with its first command.
        with self._lock:
            if self._under_way == 0:
                self._hang_up()

    def _forget_idle(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client:
            with suppress(Exception):  # nobody needs it any more
                client.close()

    def _report(self, kind: str | None) -> None:
        if kind:
            self._metrics.count(f"failure.{kind}")
        if kind is None or kind in ANSWERED:
            self.breaker.succeeded()
        else:
            self.breaker.failed(useless_until(kind, self._now()), kind)
        if kind == "refused_token":
            # It may have been replaced: the next command reads it again.
            self.close()
            self._token_read = None
