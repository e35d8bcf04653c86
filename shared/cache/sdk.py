"""The official ``upstash-redis`` SDK over httpx: a client with timeouts, whose call another thread can end.

The SDK (1.8.0) takes no timeout, and httpx's read timeout restarts with each part of a response. So the waiting thread
has a deadline of its own, and then ends the call here, so that its connection does not stay busy.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from shared.cache.refusals import kind_of

if TYPE_CHECKING:
    import httpx

_LOGGERS: Final = ("httpx", "httpcore")
"""These write a line for each request at INFO, which Lambda's JSON log format shows."""
_CONNECTED: Final = ("connect_tcp.complete", "start_tls.complete")
_SENDS: Final = "send_request_headers.started"


def load() -> None:
    """Imports the SDK and httpx: about a quarter of a second of a Lambda container's start."""
    import upstash_redis  # noqa: PLC0415 - loaded only if Redis is used
    import upstash_redis.errors  # noqa: F401, PLC0415 - as above


class SdkClient:
    """The SDK's client of one database, for one command at a time; another thread may call ``end``.

    Its methods raise any exception of the SDK or httpx; ``failure_kind`` classifies them.

    Args:
        url: the database's REST URL.
        token: the database's token.
        connect_seconds: timeout for connecting.
        read_seconds: timeout of each wait for a part of the response.
    """

    def __init__(self, url: str, token: str, connect_seconds: float, read_seconds: float) -> None:
        import httpx  # noqa: PLC0415 - loaded only if Redis is used
        from upstash_redis import Redis  # noqa: PLC0415 - as above

        for each in _LOGGERS:
            logging.getLogger(each).setLevel(logging.WARNING)
        self._redis = Redis(
            url, token, rest_encoding=None, rest_retries=0, allow_telemetry=False, read_your_writes=False
        )
        http = self._redis._http._client  # noqa: SLF001 - the only private access: the SDK takes no timeout; tested
        http.timeout = httpx.Timeout(read_seconds, connect=connect_seconds)
        http.event_hooks = {"request": [self._watch]}
        self._stream: Any = None
        """The connection's stream of httpcore, once connected."""
        self._is_ended = False
        self._on_sent: Callable[[], None] = _nothing

    def execute(self, command: list[str | int], on_sent: Callable[[], None]) -> Any:  # noqa: ANN401 - any result of Redis
        """Runs one command; ``on_sent`` is called when it is sent, so not if the connection fails."""
        self._on_sent = on_sent
        return self._redis.execute(command)

    def end(self) -> None:
        """Ends the running call and the client; a thread that waits for the response stops waiting."""
        self._is_ended = True
        _hang_up(self._stream)

    def close(self) -> None:
        """Closes the connection; the client cannot be used afterwards."""
        self._redis.close()  # type: ignore[no-untyped-call]  # the SDK's types end here

    def _watch(self, request: httpx.Request) -> None:
        """Asks httpx to report each step of a request; see its documentation of the ``trace`` extension."""
        request.extensions = {**request.extensions, "trace": self._note}

    def _note(self, step: str, info: Mapping[str, Any]) -> None:
        if step.endswith(_CONNECTED):
            self._stream = info["return_value"]
            if self._is_ended:  # nobody waits any more: send nothing
                self._stream.close()
                raise TimeoutError
        elif step.endswith(_SENDS) and info["request"].method == b"POST":  # not the CONNECT to a proxy
            self._on_sent()


def failure_kind(error: Exception) -> str:
    """The kind of an exception of the SDK, httpx or the layers below; ``client`` for unexpected ones."""
    try:
        return _known_kind(error)
    except Exception:  # noqa: BLE001 - another version may lack these exceptions; that must not fail a request
        return "client"


def _known_kind(error: Exception) -> str:
    import httpx  # noqa: PLC0415 - loaded with the client
    from upstash_redis.errors import UpstashError  # noqa: PLC0415 - as above

    if isinstance(error, UpstashError):
        return kind_of(str(error))
    kinds: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((httpx.TimeoutException, TimeoutError), "timeout"),
        ((httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL), "unreachable"),
        ((httpx.NetworkError, httpx.ProtocolError), "disconnected"),
        # The SDK asserts that the response is JSON, and reads it without checks.
        ((httpx.DecodingError, ValueError, AttributeError, KeyError, TypeError), "garbled"),
        ((AssertionError, RecursionError), "garbled"),
    )
    return next((kind for types, kind in kinds if isinstance(error, types)), "client")


def _hang_up(stream: Any) -> None:  # noqa: ANN401 - httpcore's
    """Shuts the socket down, which wakes a reading thread; closing it would not."""
    found = stream.get_extra_info("socket") if stream is not None else None
    if found is not None:
        with suppress(OSError):  # it has ended by itself
            found.shutdown(socket.SHUT_RDWR)


def _nothing() -> None:
    pass
