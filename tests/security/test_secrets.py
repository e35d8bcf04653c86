"""No secret is in what is published: in the sources, in artifacts, in what errors say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from shared.domain.errors import every_error
from shared.settings import Settings, SettingsError
from tests.artifacts.emulator import BUILT
from tests.cases import case

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
SECRETS: Final = {
    "AWS access key": r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]",
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "token of a forge or a chat": r"\b(gh[pousr]_[A-Za-z0-9]{30,}|xox[abprs]-[A-Za-z0-9-]{10,}|glpat-[\w-]{20})",
    "Upstash token": r"\bA[A-Za-z0-9_-]{2}[A-Z]A[A-Za-z0-9+/_-]{30,}=*",
    "Redis URL with a password": r"rediss?://[^\s:@/{}]*:[^\s@/{}$]{20,}@[^\s\"']+",
    "value of something secret": (
        r"(?i)\b\w*(token|secret|password|passwd|api_?key|access_key)\w*[\"']?\s*[:=]\s*[\"'][A-Za-z0-9+/_=-]{24,}[\"']"
    ),
}
NAMES: Final = re.compile(
    r"(^|/)(\.env(\.local)?|.*\.(pem|key|p12|pfx)|id_(rsa|ed25519)|credentials|.*-token)$"
)
"""Of files that hold secrets."""
LARGEST: Final = 2_000_000


def secrets_in(text: str) -> list[str]:
    """Kinds of secrets that a text holds."""
    return [kind for kind, pattern in SECRETS.items() if re.search(pattern, text)]


def published() -> Iterator[Path]:
    """The files that the repository holds, or all that are there where this is no repository."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        said = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603 - git's own path
        yield from (ROOT / name for name in said.decode().split("\0") if name)
        return
    hidden = {".venv", ".local", ".aws-sam", "__pycache__"}
    yield from (path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.parts))


def test_the_sources_hold_no_secret() -> None:
    """No tracked file holds a key, token or password, or is made to hold one."""
    files = [path for path in published() if path.is_file()]
    assert len(files) > 200
    assert [path for path in files if NAMES.search(path.relative_to(ROOT).as_posix())] == []
    found = {}
    for path in files:
        if path.stat().st_size < LARGEST and (kinds := secrets_in(path.read_text("utf-8", "replace"))):
            found[path.relative_to(ROOT).as_posix()] = kinds
    assert found == {}


def planted() -> dict[str, str]:
    """One of each kind; put together here, so that this file holds none itself."""
    return {
        "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
        "private key": "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIEpAIBAAKCAQEA",
        "JSON web token": f"eyJhbGciOiJSUzI1NiJ9{'.'}eyJzdWIiOiJhZGEifQaa{'.'}c2lnbmF0dXJlLWhlcmU",
        "token of a forge or a chat": "ghp_" + "a1B2" * 9,
        "Upstash token": "AXyz"[:3] + "QA" + "c3RyaW5n" * 5,
        "Redis URL with a password": "rediss://default:" + "p4ss" * 8 + "@x.upstash.io:6379",
        "value of something secret": 'UPSTASH_TOKEN = "' + "q7Zk" * 8 + '"',
    }


def test_a_secret_is_found() -> None:
    """The search knows each kind."""
    for kind in SECRETS:
        with case(kind):
            assert kind in secrets_in(f"x\n{planted()[kind]}\ny")


def test_a_file_of_secrets_is_found() -> None:
    """Also by its name alone; `.env.example` is none."""
    for name in [".env", ".env.local", "a/token-key.pem", ".local/upstash-token", "x/id_rsa"]:
        with case(name):
            assert NAMES.search(name)
            assert not NAMES.search(".env.example")


def test_what_the_local_stack_keeps_is_not_tracked() -> None:
    """Its keys and tokens are in folders that `.gitignore` names."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".local/", ".env", ".env.local"} <= set(ignored)


@pytest.mark.artifacts
def test_artifacts_hold_no_secret() -> None:
    """Of what is built: no file that is made to hold one, and none in what is ours or in any text of others."""
    files = [path for path in BUILT.rglob("*") if path.is_file() and path.suffix not in {".so", ".pyc"}]
    assert files
    named = [path for path in files if NAMES.search(path.relative_to(BUILT).as_posix())]
    assert {path.name for path in named} <= {"cacert.pem"}  # certifi's certificates, which are public
    hard = ("AWS access key", "private key")
    found = {}
    for path in files:
        ours = {"functions", "shared"} & set(path.relative_to(BUILT).parts)
        kinds = secrets_in(path.read_text("utf-8", "replace"))
        if kinds := [kind for kind in kinds if ours or kind in hard]:
            found[path.relative_to(BUILT).as_posix()] = kinds
    assert found == {}


def test_no_error_says_what_it_was_given() -> None:
    """Texts of errors are fixed, and settings' errors never quote a secret."""
    assert all("{" not in error().detail and "%" not in error().detail for error in every_error())
    secret = planted()["Upstash token"]
    for variables in (
        {"REDIS_URL": f"rediss://default:{secret}@example.com:1"},
        # Of these, the standard library's own errors quote the password, or what stands between brackets in it.
        {"REDIS_URL": f"rediss://default:{secret}@name℀.upstash.io:1"},
        {"REDIS_URL": f"rediss://default:x[{secret}]x@name.upstash.io:1"},
        {"REDIS_URL": f"rediss://default:x[{secret}@name.upstash.io:1"},
        {"CACHE_ENCRYPTION_KEY": secret[:31]},
        {"UPSTASH_REDIS_REST_TOKEN": secret, "LOG_LEVEL": "LOUD"},
        {"CACHE_ENCRYPTION_KEY": secret, "CACHE_KEEP": "-1"},
    ):
        with pytest.raises(SettingsError) as caught:
            Settings.from_env(variables)
        assert secret[:31] not in str(caught.value)
