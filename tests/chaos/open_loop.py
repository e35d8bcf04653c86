"""Open loop: requests at set times, whether or not earlier responses have come."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

TIMEOUT: Final = 15.0
"""Seconds without an answer: longer than any function may take."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to send, and what to do with the response."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    heard: Callable[[int, bytes, Mapping[str, str]], None]
    """Is told status, body and headers (names in lower case); status 0 where there was no answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request went; seconds since the start."""

    due: float
    sent: float
    seconds: float
    """From sending it to its answer."""
    status: int
    retry_after: bool
    ours: bool
    """Whether Budgie answered it, or the gateway before it."""
    route: str = field(default="")


class Caller:
    """One connection, which is opened again when it breaks."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)

    def send(self, call: Call, due: float, began: float) -> Outcome:
        """Sends it now, and waits for its response."""
        sent = time.monotonic()
        try:
            self._connection.request(call.method, call.path, call.body, dict(call.headers))
            response = self._connection.getresponse()
            body, status = response.read(), response.status
            headers = {name.lower(): value for name, value in response.getheaders()}
        except (OSError, http.client.HTTPException):
            self._connection.close()
            body, status, headers = b"", 0, {}
        seconds = time.monotonic() - sent
        call.heard(status, body, headers)
        ours = "x-request-id" in headers
        return Outcome(due, sent - began, seconds, status, "retry-after" in headers, ours, call.method)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def offer(url: str, make: Callable[[int], Call], rate: float, seconds: float, workers: int) -> list[Outcome]:
    """Sends ``rate`` requests a second for so long.

    Args:
        url: of the API.
        make: the request of a number.
        rate: requests a second; less come to be sent where all workers wait for answers.
        seconds: how long.
        workers: requests under way at most.
    """
    numbers, lock = itertools.count(), threading.Lock()
    outcomes: list[list[Outcome]] = [[] for _ in range(workers)]
    began = time.monotonic()

    def work(mine: list[Outcome]) -> None:
        caller = Caller(url)
        while True:
            with lock:
                number = next(numbers)
            due = number / rate
            if due >= seconds or time.monotonic() - began >= seconds:
                break
            time.sleep(max(0.0, began + due - time.monotonic()))
            mine.append(caller.send(make(number), due, began))
        caller.close()

    threads = [threading.Thread(target=work, args=(mine,), daemon=True) for mine in outcomes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for mine in outcomes for outcome in mine]


def repeat(url: str, make: Callable[[int], Call], seconds: float, workers: int, first: int) -> list[Outcome]:
    """Closed loop: each worker sends its next request when it has the response to the last one."""
    numbers = itertools.count(first)
    outcomes: list[Outcome] = []
    lock, began = threading.Lock(), time.monotonic()

    def work() -> None:
        caller = Caller(url)
        while time.monotonic() - began < seconds:
            with lock:
                number = next(numbers)
            outcome = caller.send(make(number), time.monotonic() - began, began)
            with lock:
                outcomes.append(outcome)
        caller.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
