"""Faults of the local Upstash endpoint, for tests of what production will meet.

A fault lasts until it is cleared, or affects `times` requests, or affects each request with a `probability`
drawn from a seeded generator. Several may be armed at once: latencies add up, then the first other one decides.
"""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Iterable
from typing import Any, Final

QUOTA_MONTHLY: Final = (
    "ERR max requests limit exceeded. Limit: 500000, Usage: 500000. "
    "See https://upstash.com/docs/redis/troubleshooting/max_requests_limit for details"
)
QUOTA_DAILY: Final = (
    "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001. "
    "See https://upstash.com/docs/redis/troubleshooting/max_daily_request_limit for details"
)
CAPACITY: Final = "ERR DB capacity quota exceeded. Threshold: 268435456 bytes, Usage: 268979370 bytes."

# The forms of each kind; the first is the default.
FORMS: Final[dict[str, tuple[str, ...]]] = {
    "latency": ("",),  # wait `ms`, or between `ms` and `max_ms`, milliseconds, then respond normally
    "hang": ("",),  # never respond, until the client gives up
    "status": ("",),  # respond with `status` and a body that is not JSON
    "garbage": (
        "text",  # status 200, a body that is not JSON
        "truncated",  # half of the JSON, with a matching Content-Length
        "short",  # half of the JSON, with the Content-Length of all of it, then the end of the connection
    ),
    "die": ("silent", "half"),  # reset the connection before a response, or after half of its body
    "wrong_token": ("",),  # 401, whatever the token
    "quota": ("monthly", "daily"),  # refuse every billed command after `after` more were billed
    "capacity": ("",),  # refuse commands that need memory; reads and deletes still work
    "refuse": ("",),  # do not listen for `seconds`; open connections are reset
}
_LONGEST_REFUSAL: Final = 3600.0  # seconds
_ERROR_STATUS: Final = range(400, 600)
_BY_COMMAND: Final = {"quota", "capacity"}


class FaultError(ValueError):
    """The fault does not exist, or its numbers are invalid."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; `FORMS` has the kinds and forms, and which field each kind uses.

    Attributes:
        kind: A key of `FORMS`.
        form: One of its forms; the first by default.
        times: Requests (for quota and capacity: commands) to affect, then the fault is over; None for no end.
        probability: Chance that a request is affected.
        executed: For hang, status, garbage and die: whether the commands run before the response is lost.
        ms: Milliseconds of latency; the minimum if `max_ms` is greater.
        max_ms: The maximum milliseconds of latency.
        status: HTTP status, for the kind status.
        after: Commands that the kind quota still allows.
        seconds: How long the kind refuse lasts.

    Raises:
        FaultError: A field is invalid.
    """

    kind: str
    form: str = ""
    times: int | None = None
    probability: float = 1.0
    executed: bool = False
    ms: float = 0.0
    max_ms: float = 0.0
    status: int = 502
    after: int = 0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        forms = FORMS.get(self.kind)
        if forms is None:
            raise FaultError(f"no such fault; there are: {', '.join(FORMS)}")
        if self.form and self.form not in forms:
            raise FaultError(f"{self.kind} has the forms {', '.join(forms)}")
        if min(self.ms, self.max_ms, self.seconds, self.after) < 0 or self.seconds > _LONGEST_REFUSAL:
            raise FaultError("numbers must not be negative, seconds not above 3600")
        if not 0.0 <= self.probability <= 1.0 or self.status not in _ERROR_STATUS:
            raise FaultError("probability is between 0 and 1, status between 400 and 599")
        if self.times is not None and self.times < 1:
            raise FaultError("times is at least 1")
        if not self.form:
            object.__setattr__(self, "form", forms[0])


def read_faults(document: Any) -> list[Fault]:  # noqa: ANN401 - any JSON may have been sent
    """The faults that a JSON object, or an array of objects, describes.

    Raises:
        FaultError: It describes none.
    """
    rows = document if isinstance(document, list) else [document]
    try:
        return [Fault(**row) for row in rows]
    except TypeError as error:
        raise FaultError("a fault is an object with a kind and the fields of its kind") from error


@dataclasses.dataclass(slots=True)
class _Armed:
    fault: Fault
    left: int | None
    allowance: int


class Faults:
    """The armed faults of one endpoint; thread-safe."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._random = random.Random(seed)  # noqa: S311 - repeatable faults, nothing secret

    def add(self, *faults: Fault) -> None:
        """Arm further faults."""
        if any(fault.kind == "refuse" for fault in faults):
            raise FaultError("refuse is a state of the listening socket: call the endpoint's refuse()")
        with self._lock:
            self._armed += [_Armed(fault, fault.times, fault.after) for fault in faults]

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed = []

    def seed(self, seed: int) -> None:
        """Seed the generator behind `probability` and latency ranges again."""
        with self._lock:
            self._random.seed(seed)

    def active(self) -> list[Fault]:
        """The armed faults, with the remaining times."""
        with self._lock:
            return [dataclasses.replace(a.fault, times=a.left, after=a.allowance) for a in self._armed]

    def strike(self) -> tuple[float, Fault | None]:
        """Decide what happens to the current request.

        Returns:
            Seconds to wait, and the fault that replaces the response, if any.
        """
        with self._lock:
            delay, chosen = 0.0, None
            for armed in list(self._armed):
                fault = armed.fault
                latency = fault.kind == "latency"
                if fault.kind in _BY_COMMAND or (chosen and not latency) or not self._hits(armed):
                    continue
                if latency:
                    delay += self._random.uniform(fault.ms, max(fault.ms, fault.max_ms)) / 1000
                else:
                    chosen = fault
            return delay, chosen

    def refusal(self, commands: Iterable[tuple[bool, bool]]) -> str | None:
        """The error that a command, or a whole transaction, gets instead of running.

        Args:
            commands: For each command, whether it is billed and whether it may need memory.
        """
        wanted = list(commands)
        billed = sum(is_billed for is_billed, _ in wanted)
        grows = any(needs_memory for _, needs_memory in wanted)
        with self._lock:
            for armed in list(self._armed):
                over = armed.fault.kind == "quota" and armed.allowance < billed
                full = armed.fault.kind == "capacity" and grows
                if (over or full) and self._hits(armed):
                    return _refusal_text(armed.fault)
        return None

    def charge(self, billed: int) -> None:
        """Use up what quotas still allow."""
        with self._lock:
            for armed in self._armed:
                armed.allowance = max(0, armed.allowance - billed)

    def _hits(self, armed: _Armed) -> bool:
        if armed.fault.probability < 1.0 and self._random.random() >= armed.fault.probability:
            return False
        if armed.left is not None:
            armed.left -= 1
            if armed.left == 0:
                self._armed.remove(armed)
        return True


def _refusal_text(fault: Fault) -> str:
    if fault.kind == "capacity":
        return CAPACITY
    return QUOTA_DAILY if fault.form == "daily" else QUOTA_MONTHLY
