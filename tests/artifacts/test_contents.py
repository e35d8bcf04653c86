"""What an artifact holds, and that it is the same whenever it is made."""

from __future__ import annotations

import importlib.util
import marshal
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from shared.runtime.machine import FILE as MACHINE_FILE
from tests.artifacts.emulator import BUILT, ROOT
from tests.reachable import FUNCTIONS, calls_of
from tools import artifacts
from tools.artifacts import FIXED_TIME, LOCAL, NOISE, TASK_ROOT, Target

RUNTIME: Final = ("boto3", "botocore", "s3transfer", "urllib3")
"""What Lambda's runtime brings."""
REDIS: Final = ("upstash_redis", "httpx", "backports")
MAX_BYTES: Final = 40_000_000
"""Lambda takes 250 MB; each megabyte is time at a cold start."""
UNCHECKED_HASH: Final = 1
"""A .pyc file's flags: found by its source's hash, which nobody checks."""


def artifact(function: str) -> Path:
    """What `make test-artifacts` built."""
    return BUILT / ("".join(word.capitalize() for word in function.split("_")) + "Function")


def test_the_redis_client_goes_where_it_is_used() -> None:
    """The list of functions that hold it is what the code says."""
    assert {function for function in FUNCTIONS if calls_of(function).redis} == artifacts.USES_REDIS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_cipher_goes_where_it_is_asked_for(function: str) -> None:
    """With `ARTIFACT_SEALED=1` the artifacts that read and write bundles hold it; without, none does."""
    plain = Target.from_env({"ARTIFACT_PLATFORM": LOCAL})
    encrypted = Target.from_env({"ARTIFACT_PLATFORM": LOCAL, "ARTIFACT_SEALED": "1"})
    seals = function in {"list_channels", "fetch_messages"}
    assert encrypted.requirements(function) == ("artifact-sealed" if seals else plain.requirements(function))
    assert plain.requirements(function) == (
        "artifact-redis" if function in artifacts.USES_REDIS else "artifact"
    )


def test_the_cipher_is_all_that_is_added() -> None:
    """The same packages at the same versions, and the library with what it needs."""
    redis, encrypted = (
        pinned((ROOT / f"requirements/artifact-{name}.txt").read_text()) for name in ("redis", "sealed")
    )
    assert redis < encrypted
    assert {each.partition("==")[0] for each in encrypted - redis} == {"cryptography", "cffi", "pycparser"}


def pinned(text: str) -> set[str]:
    """Packages of a requirements file with their versions."""
    return set(re.findall(r"^[a-z0-9._-]+==[^ ;]+", text, re.MULTILINE))


@pytest.mark.artifacts
@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_holds_its_own_handler_and_what_all_share(function: str) -> None:
    """Of ours: no other function, no test, no tool, and no storage that is there for tests."""
    made = artifact(function)
    ours = {
        path.relative_to(made).as_posix()
        for path in made.rglob("*.py")
        if path.relative_to(made).parts[0] in {"functions", "shared", "tests", "local", "bench", "docs"}
    }
    assert ours == {path.relative_to(ROOT).as_posix() for path in artifacts.sources(function)}
    assert f"functions/{function}/handler.py" in ours
    assert not [each for each in ours if each.startswith("shared/storage/memory")]


@pytest.mark.artifacts
@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_says_what_it_was_built_for(function: str) -> None:
    """As the kernel there calls it, for the function to compare when it starts."""
    assert (artifact(function) / MACHINE_FILE).read_text().strip() == os.uname().machine


@pytest.mark.artifacts
@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_holds_what_it_needs_alone(function: str) -> None:
    """No boto3, which the runtime brings; the Redis SDK and httpx where they are used; nothing of the installer."""
    made = artifact(function)
    assert not [name for name in RUNTIME if (made / name).exists()]
    assert {name for name in REDIS if (made / name).exists()} == (
        set(REDIS) if function in artifacts.USES_REDIS else set()
    )
    assert not [path for path in made.rglob("*") if path.name in NOISE or path.parts[-2:-1] == ("bin",)]
    assert sum(path.stat().st_size for path in made.rglob("*") if path.is_file()) < MAX_BYTES


@pytest.mark.artifacts
@pytest.mark.parametrize("function", FUNCTIONS)
def test_its_bytecode_is_taken_as_it_is(function: str) -> None:
    """Each source has its own, which no time of a file makes stale, and which names no machine's folders."""
    made = artifact(function)
    for source in made.rglob("*.py"):
        code = Path(importlib.util.cache_from_source(str(source))).read_bytes()
        assert code[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(code[4:8], "little") == UNCHECKED_HASH, source
        assert code[8:16] == importlib.util.source_hash(source.read_bytes()), source
        assert marshal.loads(code[16:]).co_filename == f"{TASK_ROOT}/{source.relative_to(made)}"  # noqa: S302 - our own


@pytest.mark.stack
@pytest.mark.artifacts
@pytest.mark.parametrize("function", ["fetch_messages", "post_message"])
def test_it_can_be_made_again(tmp_path: Path, function: str) -> None:
    """A second build gives what `sam build` made, to the last bit and timestamp."""
    target = Target.from_env({"ARTIFACT_PLATFORM": LOCAL})
    made = tmp_path / "artifact"
    artifacts.build(function, made, target, cache=tmp_path / "cache")
    assert fingerprint(made) == fingerprint(artifact(function))
    assert {path.stat().st_mtime for path in made.rglob("*")} == {FIXED_TIME}


def fingerprint(directory: Path) -> str:
    """All that a zip file would keep of a folder: names, modes, times, bytes."""
    whole = sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        status = path.stat()
        whole.update(f"{path.relative_to(directory)} {status.st_mode:o} {status.st_mtime}\n".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()
