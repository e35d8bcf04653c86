"""A store whose caller is killed at its n-th call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from shared.storage.memory import MemoryStore


class KilledError(BaseException):
    """Raised by the killed call; no code catches it."""


class KillingStore:
    """A store in memory whose call of the given number does not return.

    Args:
        store: the store.
        at: the number of the last call, from 1; 0 for none.
        done: whether that call still has its effect.
        watch: called after each call that returned.
    """

    def __init__(
        self,
        store: MemoryStore,
        at: int = 0,
        *,
        done: bool = False,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._at = at
        self._done = done
        self._watch = watch
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """The store's own attribute, counted."""
        return partial(self._call, name, getattr(self._store, name))

    def _call(self, name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.calls.append(name)
        if len(self.calls) == self._at:
            if self._done:
                call(*arguments, **named)
            raise KilledError
        response = call(*arguments, **named)
        self._watch()
        return response
