"""The one place that speaks to Upstash Redis: the ``upstash-redis`` client, with timeouts, names and a breaker.

The client (1.8.0) has no timeout, retries everything after 3 s, raises a dozen kinds of exception, and closes idle
connections after 5 s. Here each call has an end, only reads are repeated, at most once, every failure is a
``RedisError``, and one warm connection is kept for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from shared.cache.breaker import Breaker
from shared.cache.metrics import CacheMetrics
from shared.meter import meter

if TYPE_CHECKING:
    from upstash_redis import Redis

READS: Final = frozenset({"GET", "MGET", "PING"})
KEEP_ALIVE_SECONDS: Final = 60.0
AUTH_OPEN_MS: Final = 10 * 60_000
"""How long a refused token is not tried again."""
FULL_OPEN_MS: Final = 10 * 60_000


class RedisError(Exception):
    """Redis did not do it; ``kind`` says why, for metrics."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class UpstashOptions:
    """Where and how: times in milliseconds."""

    url: str
    token: str
    connect_ms: int = 200
    read_ms: int = 300
    breaker_failures: int = 3
    breaker_open_ms: int = 10_000


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
        self._idle: threading.Timer | None = None
        self._context: Any = None
        self.breaker = Breaker(now, options.breaker_failures, options.breaker_open_ms)

    @property
    def budget_seconds(self) -> float:
        """The longest that one command may take, with connecting."""
        return (self._options.connect_ms + self._options.read_ms) / 1000

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
            self.breaker.failed(self._open_until(error.kind))
            raise
        finally:
            self._metrics.count("redis_ms", round((time.perf_counter() - started) * 1000))
        self.breaker.succeeded()
        return result

    def _execute(self, reason: str, command: str, arguments: tuple[str | int, ...], started: float) -> Any:  # noqa: ANN401 - as above
        try:
            return self._once(reason, command, arguments)
        except RedisError as error:
            spent = time.perf_counter() - started
            if error.kind != "disconnected" or command not in READS or spent > self.budget_seconds / 2:
                raise
        # The kept connection had been closed at the other end: a read may be asked again.
        return self._once(reason, command, arguments)

    def _once(self, reason: str, command: str, arguments: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - as above
        import httpx  # noqa: PLC0415 - a fifth of a second, with the client, that only Redis' users pay
        from upstash_redis.errors import UpstashError  # noqa: PLC0415 - as above

        self._metrics.command(reason)
        meter().charge(redis=1)
        try:
            return self._connected().execute([command, *arguments])
        except httpx.TimeoutException as error:
            raise RedisError("timeout") from error
        except httpx.ConnectError as error:
            raise RedisError("unreachable") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RedisError("disconnected") from error
        except UpstashError as error:
            raise RedisError(_kind(str(error))) from error
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise RedisError("garbled") from error
        finally:
            self._close_when_idle()

    def _connected(self) -> Redis:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Redis:
        import httpx  # noqa: PLC0415 - as above
        from upstash_redis import Redis  # noqa: PLC0415 - as above

        if self._context is None:
            self._context = httpx.create_ssl_context()
        client = Redis(
            self._options.url,
            self._options.token,
            rest_encoding=None,
            rest_retries=0,
            allow_telemetry=False,
            read_your_writes=False,
        )
        client._http._client = httpx.Client(  # noqa: SLF001 - the client takes no timeout; tests/shared/cache hold this line
            timeout=httpx.Timeout(self._options.read_ms / 1000, connect=self._options.connect_ms / 1000),
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS
            ),
            verify=self._context,
        )
        return client

    def _close_when_idle(self) -> None:
        """An idle container holds no connection: plans have a cap on them."""
        with self._lock:
            if self._idle:
                self._idle.cancel()
            self._idle = threading.Timer(KEEP_ALIVE_SECONDS, self.close)
            self._idle.daemon = True
            self._idle.start()

    def close(self) -> None:
        """Closes the connection; the next command opens another."""
        with self._lock:
            client, self._client = self._client, None
            if self._idle:
                self._idle.cancel()
                self._idle = None
        if client is not None:
            client.close()  # type: ignore[no-untyped-call]  # the client's types end here

    def _open_until(self, kind: str) -> int | None:
        now = datetime.fromtimestamp(self._now() / 1000, UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if kind == "daily_quota":
            return _ms(midnight + timedelta(days=1))
        if kind == "monthly_quota":
            return _ms((midnight.replace(day=1) + timedelta(days=32)).replace(day=1))
        if kind == "refused_token":
            return self._now() + AUTH_OPEN_MS
        if kind == "full":
            return self._now() + FULL_OPEN_MS
        return None


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _kind(text: str) -> str:
    """What an error of Upstash's means; its text is all that there is to tell by."""
    lowered = text.lower()
    for part, kind in (
        ("max daily request limit exceeded", "daily_quota"),
        ("max requests limit exceeded", "monthly_quota"),
        ("wrongpass", "refused_token"),
        ("unauthorized", "refused_token"),
        ("noperm", "refused_token"),
        ("capacity quota exceeded", "full"),
        ("oom ", "full"),
        ("max request size exceeded", "too_large"),
    ):
        if part in lowered:
            return kind
    return "error"
