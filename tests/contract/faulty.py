"""Any storage, where chosen calls go wrong: the caller dies, or hears nothing of a call that was made, or was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from shared.domain.errors import StoreUnavailableError

DIES_BEFORE: Final = "dies before"
"""The container is gone: no handler catches it, nothing of the request runs any more."""
DIES_AFTER: Final = "dies after"
FAILS: Final = "fails"
"""The storage fails without effect."""
LOSES: Final = "loses its answer"
"""The storage did it, and the answer timed out."""
LATE: Final = {f"comes {calls} calls late": calls for calls in (1, 2, 4)}
"""The call timed out, and reaches the storage only after others that were made later."""
KINDS: Final = (DIES_BEFORE, DIES_AFTER, FAILS, LOSES, *LATE)


class DiedError(BaseException):
    """The container was killed, or ran out of its time."""


class FaultyStore:
    """A storage whose calls are counted from 1, over all containers that use it.

    Args:
        store: any storage.
        faults: what goes wrong, by the number of the call.
    """

    def __init__(self, store: Any, faults: Mapping[int, str]) -> None:
        self.calls = 0
        self._store = store
        self._faults = faults
        self._late: dict[int, Callable[[], object]] = {}

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls in self._late:
            self._late.pop(self.calls)()
        call = partial(getattr(self._store, name), *arguments, **named)
        match self._faults.get(self.calls):
            case None:
                return call()
            case "dies before":
                raise DiedError
            case "dies after":
                call()
                raise DiedError
            case "loses its answer":
                call()
            case kind if kind in LATE:
                self._late[self.calls + LATE[kind]] = call
        raise StoreUnavailableError(retry_after=1)

    def settle(self) -> None:
        """What is still under way arrives."""
        for call in self._late.values():
            call()
        self._late.clear()
