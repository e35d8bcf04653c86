"""Imports handlers from a folder of sources, and again when a source has changed."""

import importlib
import importlib.util
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

CHECK_INTERVAL: Final = 0.5
"""Seconds between two checks for changed sources."""

Handler = Callable[[dict[str, Any], Any], Any]


class HandlerNotLoadedError(Exception):
    """The handler cannot be imported; the text says why."""


class Functions:
    """Imports handlers from a folder, and imports them again when a source has changed.

    Args:
        root: the folder that handlers' modules are imported from.
        handlers: all handlers of the template; their top packages, and `shared`, are watched.
        reload: whether to watch.
        log: takes a line when sources have changed.
    """

    def __init__(
        self, root: Path, handlers: Iterable[str], *, reload: bool, log: Callable[[str], None] = print
    ) -> None:
        self._root = root.resolve()
        self._packages = {_module_and_name(handler)[0].split(".")[0] for handler in handlers} | {"shared"}
        self._reload = reload
        self._log = log
        self._lock = threading.RLock()
        self._loaded: dict[str, Handler] = {}
        self._sources = self._read_state() if reload else {}
        self._next_look = time.monotonic() + CHECK_INTERVAL
        self._added_path = str(self._root) not in sys.path
        if self._added_path:
            sys.path.insert(0, str(self._root))

    def close(self) -> None:
        """Restore the import path."""
        if self._added_path and str(self._root) in sys.path:
            sys.path.remove(str(self._root))

    def loaded(self, handler: str) -> Handler | None:
        """The handler, if it is imported and its sources have not changed since."""
        if self._reload and time.monotonic() >= self._next_look:
            self._forget_changed()
        return self._loaded.get(handler)

    def load(self, handler: str) -> Handler:
        """Import a handler, unless it is imported already.

        Raises:
            HandlerNotLoadedError: its module cannot be imported, or has no such function.
        """
        with self._lock:
            if handler not in self._loaded:
                self._loaded[handler] = self._import(handler)
            return self._loaded[handler]

    def place(self, error: BaseException) -> str:
        """Type and place of an error, such as `KeyError at shared/posts.py:12`; its message may quote a request."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(self._root)]
        if not own:
            return type(error).__name__
        path = Path(own[-1].filename).relative_to(self._root)
        return f"{type(error).__name__} at {path}:{own[-1].lineno} in {own[-1].name}"

    def _import(self, handler: str) -> Handler:
        module_name, name = _module_and_name(handler)
        try:
            function = getattr(importlib.import_module(module_name), name)
        except SyntaxError as error:
            raise HandlerNotLoadedError(
                f"cannot import {handler}: {error.msg} in {self._short(error)}"
            ) from error
        except Exception as error:
            # Errors at import involve no request, so their message may be shown.
            raise HandlerNotLoadedError(f"cannot import {handler}: {error} ({self.place(error)})") from error
        if not callable(function):
            raise HandlerNotLoadedError(f"cannot call {handler}: it is not a function")
        return function  # type: ignore[no-any-return]  # what a module holds has no static type

    def _short(self, error: SyntaxError) -> str:
        path = Path(error.filename or "?")
        return (
            f"{path.relative_to(self._root) if path.is_relative_to(self._root) else path.name}:{error.lineno}"
        )

    def _read_state(self) -> dict[Path, tuple[int, int]]:
        """Modification time (ns) and size (bytes) of each source."""
        found = {}
        for package in self._packages:
            for path in (self._root / package).rglob("*.py"):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # Editors save by renaming: the file will exist again at the next check.
                found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def _forget_changed(self) -> None:
        with self._lock:
            if time.monotonic() < self._next_look:
                return
            sources = self._read_state()
            self._next_look = time.monotonic() + CHECK_INTERVAL
            changed = {path for path, _ in sources.items() ^ self._sources.items()}
            if not changed:
                return
            self._sources = sources
            self._forget(changed)
        self._log(f"reload: {', '.join(sorted(str(path.relative_to(self._root)) for path in changed))}")

    def _forget(self, changed: Iterable[Path]) -> None:
        self._loaded.clear()
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] in self._packages and self._is_own(module):
                del sys.modules[name]
        for path in changed:
            # Bytecode is validated by modification second and size: two quick saves may look the same.
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
        importlib.invalidate_caches()

    def _is_own(self, module: ModuleType) -> bool:
        """Whether the module is from this root, and not from another one with packages of the same names."""
        places = (
            [module.__file__] if getattr(module, "__file__", None) else list(getattr(module, "__path__", ()))
        )
        return any(place is not None and Path(place).is_relative_to(self._root) for place in places)


def _module_and_name(handler: str) -> tuple[str, str]:
    """`functions.x.handler.handler` and `functions/x/handler.handler` name the same function."""
    module, _, name = handler.replace("/", ".").rpartition(".")
    return module, name
