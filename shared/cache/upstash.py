"""The one place that speaks to Upstash Redis: the ``upstash-redis`` client, with timeouts, names and a breaker.

The client (1.8.0) has no timeout, retries everything after 3 s, raises a dozen kinds of exception, and closes idle
connections after 5 s. Here each call has an end, only reads are repeated, at most once, every failure is a
``RedisError``, and one warm connection is kept for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

from shared.cache.breaker import Breaker
from shared.cache.metrics import CacheMetrics
from shared.cache.refusals import ANSWERED, kind_of, useless_until
from shared.cache.rest import Rest, redis_class
from shared.connections import NotConnectedError
from shared.meter import meter
from shared.secrets import SecretUnavailableError

if TYPE_CHECKING:
    from upstash_redis import Redis

READS: Final = frozenset({"GET", "MGET", "PING"})
FREE: Final = frozenset({"PING", "INFO"})
"""Not billed, so not counted."""
RETRY_WITHIN: Final = 0.1
"""Share of the budget within which a kept connection shows that it is dead; later there is no time to ask again."""


class RedisError(Exception):
    """Redis did not do it; ``kind`` says why, for metrics."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class UpstashOptions:
    """Where and how: times in milliseconds.

    ``read_token`` finds the token out where ``token`` is empty, when it is first needed and after it was refused.
    """

    url: str
    token: str = field(repr=False)
    connect_ms: int = 200
    read_ms: int = 300
    wait_ms: int = 50
    """A cold container loads the client first, which takes longer: its first request does not wait for that."""
    breaker_failures: int = 3
    breaker_open_ms: int = 10_000
    keep_alive_seconds: float = 60.0
    read_token: Callable[[], str] | None = None


class Upstash:
    """Commands against one database.

    Args:
        options: where, and the time limits.
        metrics: counts commands and failures.
        now: milliseconds since 1970.
    """

    def __init__(self, options: UpstashOptions, metrics: CacheMetrics, now: Callable[[], int]) -> None:
        self._options = options
        self._metrics = metrics
        self._now = now
        self._lock = threading.Lock()
        self._client: Redis | None = None
        self._http: Rest | None = None
        self._idle: threading.Timer | None = None
        self._under_way = 0
        self.breaker = Breaker(now, options.breaker_failures, options.breaker_open_ms)

    @property
    def budget_seconds(self) -> float:
        """The longest that a request waits for a command, which goes on without it: it has DynamoDB to ask."""
        return min(self._options.wait_ms, self._options.read_ms) / 1000

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - whatever Redis answers
        """One command's result.

        Raises:
            RedisError: it failed, or the breaker is open and it was not tried.
        """
        if not self.breaker.allows():
            raise RedisError("breaker_open")
        started = time.perf_counter()
        try:
            result = self._execute(reason, command, arguments, started)
        except RedisError as error:
            self._metrics.count(f"failure.{error.kind}")
            self._report(error.kind)
            raise
        finally:
            self._metrics.count("redis_ms", round((time.perf_counter() - started) * 1000))
        self.breaker.succeeded()
        return result

    def give_up(self, kind: str, until: int) -> None:
        """Leaves the database alone until a time (ms since 1970), for a reason that lies outside of it."""
        self._metrics.count(f"failure.{kind}")
        self.breaker.failed(until)

    def _execute(self, reason: str, command: str, arguments: tuple[str | int, ...], started: float) -> Any:  # noqa: ANN401 - as above
        try:
            return self._once(reason, command, arguments)
        except RedisError as error:
            spent = time.perf_counter() - started
            late = spent > self._options.read_ms / 1000 * RETRY_WITHIN
            if error.kind != "disconnected" or command not in READS or late:
                raise
        # The kept connection had been closed at the other end: a read may be asked again.
        return self._once(reason, command, arguments)

    def _once(self, reason: str, command: str, arguments: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - as above
        if command not in FREE:
            self._metrics.command(reason)
            meter().command(reason)
        client = self._borrow()
        from upstash_redis.errors import UpstashError  # noqa: PLC0415 - loads when Redis is used

        # Not "from error": some of these quote headers, and so the token.
        try:
            return client.execute([command, *arguments])
        except TimeoutError:
            raise RedisError("timeout") from None
        except NotConnectedError:
            raise RedisError("unreachable") from None
        except UpstashError as error:
            raise RedisError(kind_of(str(error))) from None
        except (HTTPException, OSError):
            raise RedisError("disconnected") from None
        except (ValueError, AttributeError, KeyError, TypeError, AssertionError, RecursionError):
            # The client asserts that there is JSON, and looks into it unseen.
            raise RedisError("garbled") from None
        finally:
            self._give_back()

    def _borrow(self) -> Redis:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            if self._http is None:
                self._http = self._make_http()
                # It takes no timeout; tests hold this line.
                self._client._http._client = self._http  # type: ignore[assignment]  # noqa: SLF001 - as said
            self._forget_idle()
            self._under_way += 1
            return self._client

    def _give_back(self) -> None:
        """An idle container holds no connection for longer than the keep-alive: plans have a cap on them."""
        with self._lock:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle = threading.Timer(self._options.keep_alive_seconds, self._close_idle)
                self._idle.daemon = True
                self._idle.start()

    def _make_client(self) -> Redis:
        """Once; what it sends by is replaced."""
        token = self._token()
        if not (token.isascii() and token.isprintable()):
            # It would be no header; the HTTP library would say so in its debug log, and quote it.
            raise RedisError("refused_token")
        client = redis_class()(
            self._options.url,
            token,
            rest_encoding=None,
            rest_retries=0,
            allow_telemetry=False,
            read_your_writes=False,
        )
        client.close()  # type: ignore[no-untyped-call]  # the client's types end here
        return client

    def _token(self) -> str:
        if self._options.token or self._options.read_token is None:
            return self._options.token
        try:
            return self._options.read_token()
        except SecretUnavailableError:
            raise RedisError("no_token") from None

    def _make_http(self) -> Rest:
        try:
            return Rest(self._options.url, self._options.connect_ms / 1000, self._options.read_ms / 1000)
        except ValueError:  # it is no address
            raise RedisError("unreachable") from None

    def _close_idle(self) -> None:
        # A container that Lambda wakes after the keep-alive gets here beside its first command: that one goes on.
        with self._lock:
            if self._under_way == 0:
                self._hang_up()

    def close(self) -> None:
        """Closes the connection; the next command opens another."""
        with self._lock:
            self._forget_idle()
            self._hang_up()

    def _forget_token(self) -> None:
        """It may have been replaced: the next command reads it again, where it is read at all."""
        self.close()
        with self._lock:
            self._client = None

    def _forget_idle(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def _hang_up(self) -> None:
        if self._http:
            self._http.close()
            self._http = None

    def _report(self, kind: str) -> None:
        if kind in ANSWERED:
            self.breaker.succeeded()
        else:
            self.breaker.failed(useless_until(kind, self._now()))
        if kind == "refused_token":
            self._forget_token()
