"""A client of the API: one connection, any user, and the retries that the API asks of its clients."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses after which a request is retried; an `Idempotency-Key` makes sure that a post is stored once."""
MAX_TRIES: Final = 30
LONGEST_WAIT: Final = 60.0
"""The longest `Retry-After` that is followed, in seconds."""
TIMEOUT: Final = 35.0
"""Seconds without a byte: API Gateway itself stops waiting for a function after 30."""


class UnreachableError(RuntimeError):
    """The API is unreachable; the text names the address."""


@dataclass(frozen=True, slots=True)
class Response:
    """The final response, after `retries` others.

    Attributes:
        status: HTTP status.
        headers: By name in lower case.
        body: As received.
        seconds: How long the last attempt took, without the ones before it.
        retries: Statuses of earlier attempts; 0 for a broken connection.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0
    retries: tuple[int, ...] = field(default=())

    @property
    def json(self) -> Any:  # noqa: ANN401  # any JSON
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Calls the API as any user. One thread at a time.

    Args:
        url: the API's address, with or without a path before `/v1`.
        token_for: returns a user's bearer token.
        sleep: waits for a number of seconds.
        tries: most attempts of a request.
    """

    def __init__(
        self,
        url: str,
        token_for: Callable[[str], str],
        sleep: Callable[[float], None] = time.sleep,
        tries: int = MAX_TRIES,
    ) -> None:
        self._url = url
        self._token_for = token_for
        self._sleep = sleep
        self._tries = tries
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
        self._prefix = parts.path.rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        user: str | None = None,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request; retry it if the API asks for it (`Retry-After`) or the connection breaks.

        Args:
            method: HTTP method.
            path: from `/v1` on, with its query.
            user: whose token is sent; None sends none.
            body: becomes JSON.
            headers: further headers.

        Raises:
            UnreachableError: no attempt got a response.
        """
        content = None if body is None else json.dumps(body).encode()
        sent = self._headers(user, headers or {}, has_body=content is not None)
        retries: list[int] = []
        while True:
            attempt = self._try(method, path, content, sent)
            if attempt.status not in AGAIN | {0} or len(retries) + 1 >= self._tries:
                break
            retries.append(attempt.status)
            self._sleep(_wait(attempt, len(retries)))
        if attempt.status == 0:
            raise UnreachableError(f"no response from {self._url}")
        return Response(attempt.status, attempt.headers, attempt.body, attempt.seconds, tuple(retries))

    def _headers(self, user: str | None, given: Mapping[str, str], *, has_body: bool) -> dict[str, str]:
        headers = dict(given)
        if user is not None:
            headers["Authorization"] = f"Bearer {self._token_for(user)}"
        if has_body:
            headers["Content-Type"] = "application/json"
        return headers

    def _try(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Response:
        """One attempt; status 0 if the connection broke."""
        began = time.perf_counter()
        try:
            self._connection.request(method, self._prefix + path, content, headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, HTTPException):
            self._connection.close()
            return Response(0, {}, b"")
        found = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, found, body, time.perf_counter() - began)


def _wait(attempt: Response, tries: int) -> float:
    """Seconds until the next attempt: as the API says, or else a little more each time."""
    asked = attempt.headers.get("retry-after", "")
    return min(LONGEST_WAIT, float(asked) if asked.isdigit() else 0.1 * tries)
