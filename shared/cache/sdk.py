"""The official ``upstash-redis`` SDK as it is, over httpx: one client with timeouts, whose call another thread may end.

The SDK (1.8.0) takes no timeout, and httpx's read timeout begins anew with each piece of an answer. So whoever waits
for a call waits no longer than its deadline, and then ends it here: its connection does not stay busy.
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
"""At INFO, which Lambda's JSON log format shows, httpx writes a line for each request."""
_CONNECTED: Final = ("connect_tcp.complete", "start_tls.complete")
_SENDS: Final = "send_request_headers.started"


def load() -> None:
    """Imports the SDK and httpx: about a quarter of a second of a Lambda container's start."""
    import upstash_redis  # noqa: PLC0415 - loads where Redis is used, and nowhere else
    import upstash_redis.errors  # noqa: F401, PLC0415 - as above


class SdkClient:
    """The SDK's client of one database, for one command at a time; ``end`` may come from another thread.

    Args:
        url: the database's REST address.
        token: the token that belongs to it.
        connect_seconds: that connecting may take.
        read_seconds: that each wait for a part of an answer may take.

    Raises:
        Exception: whatever the SDK or httpx raise; ``failure_kind`` names it.
    """

    def __init__(self, url: str, token: str, connect_seconds: float, read_seconds: float) -> None:
        import httpx  # noqa: PLC0415 - loads where Redis is used, and nowhere else
        from upstash_redis import Redis  # noqa: PLC0415 - as above

        for each in _LOGGERS:
            logging.getLogger(each).setLevel(logging.WARNING)
        self._redis = Redis(
            url, token, rest_encoding=None, rest_retries=0, allow_telemetry=False, read_your_writes=False
        )
        http = self._redis._http._client  # noqa: SLF001 - the one private place: the SDK takes no timeout; a test holds it
        http.timeout = httpx.Timeout(read_seconds, connect=connect_seconds)
        http.event_hooks = {"request": [self._watch]}
        self._stream: Any = None
        """The connection's stream, once there is one; httpcore's."""
        self._is_ended = False
        self._on_sent: Callable[[], None] = _nothing

    def execute(self, command: list[str | int], on_sent: Callable[[], None]) -> Any:  # noqa: ANN401 - whatever Redis answers
        """One command's result; ``on_sent`` is called when it goes out, which a refused connection prevents."""
        self._on_sent = on_sent
        return self._redis.execute(command)

    def end(self) -> None:
        """Ends the call under way, and the client: another thread that waits for an answer stops waiting."""
        self._is_ended = True
        _hang_up(self._stream)

    def close(self) -> None:
        """Closes the connection; the client is of no more use."""
        self._redis.close()  # type: ignore[no-untyped-call]  # the SDK's types end here

    def _watch(self, request: httpx.Request) -> None:
        """Asks httpx to tell of each step of a request; see its documentation of the ``trace`` extension."""
        request.extensions = {**request.extensions, "trace": self._note}

    def _note(self, step: str, info: Mapping[str, Any]) -> None:
        if step.endswith(_CONNECTED):
            self._stream = info["return_value"]
            if self._is_ended:  # connecting took longer than anybody waits: nothing is sent any more
                self._stream.close()
                raise TimeoutError
        elif step.endswith(_SENDS) and info["request"].method == b"POST":  # not the CONNECT to a proxy
            self._on_sent()


def failure_kind(error: Exception) -> str:
    """What an exception of the SDK, of httpx, or of anything below means; ``client`` where nobody foresaw it."""
    try:
        return _foreseen(error)
    except Exception:  # noqa: BLE001 - another version may have no such exceptions: that is no reason to fail
        return "client"


def _foreseen(error: Exception) -> str:
    import httpx  # noqa: PLC0415 - loaded with the client
    from upstash_redis.errors import UpstashError  # noqa: PLC0415 - as above

    if isinstance(error, UpstashError):
        return kind_of(str(error))
    kinds: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((httpx.TimeoutException, TimeoutError), "timeout"),
        ((httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL), "unreachable"),
        ((httpx.NetworkError, httpx.ProtocolError), "disconnected"),
        # The SDK asserts that there is JSON, and looks into it unseen.
        ((httpx.DecodingError, ValueError, AttributeError, KeyError, TypeError), "garbled"),
        ((AssertionError, RecursionError), "garbled"),
    )
    return next((kind for types, kind in kinds if isinstance(error, types)), "client")


def _hang_up(stream: Any) -> None:  # noqa: ANN401 - httpcore's
    """Wakes whoever reads: closing alone would leave it waiting."""
    found = stream.get_extra_info("socket") if stream is not None else None
    if found is not None:
        with suppress(OSError):  # it has ended by itself
            found.shutdown(socket.SHUT_RDWR)


def _nothing() -> None:
    pass
