"""What a function's code can come to call: from its folder through use cases, by the names that they mention.

Deliberately coarse: a class that is mentioned brings all its methods, and whoever mentions a `reader` may do all that
readers do. So it finds too much rather than too little; `tests/test_policies.py` shows that it finds no more than that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from shared.storage.protocol import Changes, Channels, Erasures, Log, Members, Moderation, Realtime, Threads
from tests.sources import tree_of

ROOT: Final = Path(__file__).resolve().parent.parent
FUNCTIONS: Final = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
STORE_METHODS: Final = frozenset(
    name
    for part in (Log, Changes, Threads, Channels, Members, Moderation, Erasures, Realtime)
    for name in vars(part)
    if not name.startswith("_")
)
OF_OPERATORS: Final = frozenset(name for name in vars(Erasures) if not name.startswith("_"))
"""Methods of the storage that no function may call."""
STORES: Final = frozenset({"store", "_store", "log", "_log"})
"""What our code calls the storage."""
SENDERS: Final = frozenset({"sender", "_sender"})
"""What it calls the sender of frames."""
REDIS: Final = frozenset({"reader", "lists", "upstash"})
"""Attributes of `Services` and of its cache that send commands to Redis."""
BEHIND: Final = (
    "shared.storage.dynamodb",
    "shared.storage.memory",
    "shared.storage.protocol",
    "shared.bootstrap",
    "shared.web",
)
"""The composition root knows everything, HTTP knows nothing of the storage: neither is followed."""
READERS: Final = (("shared.storage.log_reader", "DirectLogReader"), ("shared.cache.pages", "CachedLogReader"))

Node = tuple[str, str]
"""A module, and a function or class at its top."""


@dataclass
class Calls:
    """What is reached: methods of the storage and of the sender of frames, and whether Redis."""

    store: set[str] = field(default_factory=set)
    sender: set[str] = field(default_factory=set)
    redis: bool = False


@dataclass(frozen=True)
class Module:
    """A module's own definitions, and where its other names come from."""

    definitions: Mapping[str, ast.AST]
    names: dict[str, Node]


@cache
def module(name: str) -> Module:
    """A parsed module; one that is a package has no names."""
    path = ROOT / (name.replace(".", "/") + ".py")
    tree = tree_of(path) if path.is_file() else ast.Module([], [])
    return Module(dict(_definitions(tree)), dict(_names(tree)))


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign(targets=[ast.Name(name)]):  # a handler that is made of a use case
                yield name, node


def _names(tree: ast.AST) -> Iterator[tuple[str, Node]]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith(("shared", "functions"))
        ):
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)


def calls_of(function: str) -> Calls:
    """What a function's folder reaches."""
    files = sorted((ROOT / "functions" / function).glob("*.py"))
    modules = [f"functions.{function}.{path.stem}" for path in files]
    todo: list[Node] = [(name, each) for name in modules for each in module(name).definitions]
    calls, seen = Calls(), set(todo)
    while todo:
        for found in _reached(*todo.pop(), calls):
            if found not in seen and not found[0].startswith(BEHIND):
                seen.add(found)
                todo.append(found)
    return calls


def _reached(name: str, definition: str, calls: Calls) -> Iterator[Node]:
    where = module(name)
    for node in ast.walk(where.definitions.get(definition, ast.Module([], []))):
        if isinstance(node, ast.Name):
            yield (name, node.id) if node.id in where.definitions else where.names.get(node.id, ("", ""))
        elif isinstance(node, ast.Attribute):
            receiver = _last_name(node.value)
            if receiver in STORES and node.attr in STORE_METHODS:
                calls.store.add(node.attr)
            if receiver in SENDERS:
                calls.sender.add(node.attr)
            if node.attr in REDIS and receiver in {"services", "_services", "cache"}:
                calls.redis = True
            if node.attr == "reader" or receiver == "reader":
                yield from READERS
            if receiver in where.names:
                package, alias = where.names[receiver]
                yield f"{package}.{alias}", node.attr


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
