"""`.env.example`: every variable that settings read, nothing else, each explained."""

from __future__ import annotations

from pathlib import Path

from local.settings import LocalSettings, parse_env_file
from shared.settings import RANGES, Settings

ROOT = Path(__file__).resolve().parent.parent
LINES = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
VALUES = parse_env_file("\n".join(LINES), ".env.example")
NAMES = [line.split("=")[0] for line in LINES if line and not line.startswith("#")]


def test_it_has_every_variable_that_is_read_and_no_other() -> None:
    """The file has each variable that is read, once, and no other."""
    assert sorted(NAMES) == sorted({*Settings.variables(), *LocalSettings.VARIABLES})


def test_it_begins_with_upstash() -> None:
    """The first thing to fill in comes first."""
    assert NAMES[:3] == ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "REDIS_URL"]


def test_each_variable_has_a_comment_of_one_line() -> None:
    """A variable is explained by the line above it, which is its own."""
    for number, line in enumerate(LINES):
        if line and not line.startswith("#"):
            comment, before = LINES[number - 1], LINES[number - 2]
            assert comment.startswith("# "), line
            assert comment.endswith((".", "PORT", ".upstash.io", ")")), line
            assert not before.startswith("#"), line


def test_its_values_are_the_defaults() -> None:
    """Copying the file as it is changes nothing."""
    assert LocalSettings.from_env(VALUES) == LocalSettings()
    assert Settings.from_env(VALUES) == Settings()


def test_numbers_have_their_range_beside_them() -> None:
    """The comment ends with the least and the most that the code takes."""
    for variable, (least, most) in RANGES.items():
        comment = LINES[next(i for i, line in enumerate(LINES) if line.startswith(f"{variable}=")) - 1]
        assert comment.endswith(f" From {least} to {most}."), variable


def test_it_has_no_secret() -> None:
    """Tokens and addresses of databases are empty."""
    assert {VALUES[name] for name in NAMES if "TOKEN" in name or "_KEY" in name or name.endswith("_URL")} == {
        ""
    }
