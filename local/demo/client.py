"""A client of the API: one connection, any user, and the patience that the API asks of its clients."""

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
"""Statuses after which a request is sent again; with an `Idempotency-Key` a post is stored once all the same."""
MAX_TRIES: Final = 30
LONGEST_WAIT: Final = 60.0
"""Seconds that a `Retry-After` is followed for at most."""
TIMEOUT: Final = 35.0
"""Seconds without a byte: API Gateway itself gives a function up after 30."""


class UnreachableError(RuntimeError):
    """The API cannot be reached; the text says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer that stands, after `retries` others.

    Attributes:
        status: HTTP status.
        headers: By name in lower case.
        body: As it came.
        seconds: How long the last try took, without the ones before it.
        retries: Statuses of the tries before; 0 for a connection that broke.
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
    """Calls the API as whoever it is told to. One thread at a time.

    Args:
        url: the API's address, with or without a path before `/v1`.
        token_for: a user's bearer token.
        sleep: waits for a number of seconds.
        tries: how often a request is sent at most.
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
        """Hang up."""
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
        """Send a request, again where the API asks for patience (`Retry-After`) or the connection breaks.

        Args:
            method: HTTP method.
            path: from `/v1` on, with its query.
            user: whose token is sent; None sends none.
            body: becomes JSON.
            headers: further headers.

        Raises:
            UnreachableError: no try got any answer.
        """
        content = None if body is None else json.dumps(body).encode()
        sent = self._headers(user, headers or {}, has_body=content is not None)
        retries: list[int] = []
        while True:
            answer = self._try(method, path, content, sent)
            if answer.status not in AGAIN | {0} or len(retries) + 1 >= self._tries:
                break
            retries.append(answer.status)
            self._sleep(_wait(answer, len(retries)))
        if answer.status == 0:
            raise UnreachableError(f"no answer from {self._url}")
        return Response(answer.status, answer.headers, answer.body, answer.seconds, tuple(retries))

    def _headers(self, user: str | None, given: Mapping[str, str], *, has_body: bool) -> dict[str, str]:
        headers = dict(given)
        if user is not None:
            headers["Authorization"] = f"Bearer {self._token_for(user)}"
        if has_body:
            headers["Content-Type"] = "application/json"
        return headers

    def _try(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Response:
        """One try; status 0 where the connection broke."""
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


def _wait(answer: Response, tries: int) -> float:
    """Seconds until the next try: what the API says, else a little more each time."""
    asked = answer.headers.get("retry-after", "")
    return min(LONGEST_WAIT, float(asked) if asked.isdigit() else 0.1 * tries)
