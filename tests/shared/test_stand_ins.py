"""Empty modules in the place of large ones."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.stand_ins import StandIn, StandIns

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    """For packages that nobody has loaded, the second of which is a real one."""
    made = StandIns("no_such_package", "wave", functions={"no_such_package.deep": {"key_of": str.upper}})
    sys.modules.pop("wave", None)
    made.install()
    yield made
    made.remove()
    sys.modules.pop("wave", None)


@pytest.mark.usefixtures("stand_ins")
def test_any_class_can_be_named_and_derived_from() -> None:
    """However deep its module lies; a function is there where it was given, and nothing else."""
    module = importlib.import_module("no_such_package.deep")
    getter = module.Getter
    assert module.Getter is getter
    assert issubclass(type("Ours", (getter[str],), {}), getter)
    assert module.key_of("a") == "A"
    with pytest.raises(AttributeError):
        module.anything_else  # noqa: B018 - looking is what fails
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("another_such_package")


def test_afterwards_the_real_one_is_there(stand_ins: StandIns) -> None:
    """Who loads it after the removal gets it, also if it was stood in for before; removing twice does nothing."""
    assert isinstance(importlib.import_module("wave"), StandIn)
    stand_ins.remove()
    stand_ins.remove()
    assert not isinstance(importlib.import_module("wave"), StandIn)


def test_what_is_loaded_stays() -> None:
    """Nobody's module is taken from him."""
    made = StandIns("json")
    made.install()
    try:
        assert importlib.import_module("json") is json
        assert not isinstance(importlib.import_module("json.tool"), StandIn)
    finally:
        made.remove()


def test_the_redis_client_is_loaded_without_its_http_client() -> None:
    """In a process that has not loaded httpx, nothing does; whoever needs it later gets the real one."""
    code = """
import sys
from shared.cache.rest import redis_class
client = redis_class()("http://127.0.0.1:1", "token")
client.close()
assert not [name for name in sys.modules if name.startswith(("httpx", "httpcore", "certifi"))], "loaded"
import httpx
httpx.Client().close()
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
