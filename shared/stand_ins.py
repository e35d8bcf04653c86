"""Empty modules in the place of large ones that a library loads and Budgie never uses."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableSequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class StandIn(ModuleType):
    """Has any class that is asked for, to be named in annotations and derived from; nothing else."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - what makes it a package, never changed

    def __getattr__(self, name: str) -> type:
        """An empty class, if it has a class's name; a module's is left to be imported."""
        if not name[:1].isupper():
            raise AttributeError(name)
        made = type(name, (), {"__class_getitem__": classmethod(lambda cls, _: cls)})
        setattr(self, name, made)
        return made


class StandIns(MetaPathFinder, Loader):
    """Stands in for packages and all below them, from ``install`` until ``remove``.

    What is loaded already stays; after ``remove`` whoever imports them gets the real ones.

    Args:
        packages: their names.
        functions: by module, those that are called.
    """

    def __init__(self, *packages: str, functions: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._packages = packages
        self._functions = functions or {}
        self._made: list[str] = []

    def install(self) -> None:
        """From now on."""
        self._packages = tuple(each for each in self._packages if each not in sys.modules)
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """No longer; a second time does nothing."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in self._made:
            sys.modules.pop(name, None)
        self._made.clear()

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """For what this stands in for."""
        is_ours = any(name == each or name.startswith(f"{each}.") for each in self._packages)
        return ModuleSpec(name, self, is_package=True) if is_ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty one."""
        self._made.append(spec.name)
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Its functions."""
        for name, function in self._functions.get(module.__name__, {}).items():
            setattr(module, name, function)
