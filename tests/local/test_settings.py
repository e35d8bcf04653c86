"""The local stack's settings: the environment, `.env.local` and `.env`, in that order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.settings import LocalSettings, SettingError, parse_env_file, read_environment, refuse_unusable
from local.stack import Stack
from shared.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]


class Recording(dict[str, str]):
    """An environment that records which names are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Record the name."""
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings are asked for by name")


def test_an_empty_environment_gives_the_defaults() -> None:
    """No setting is required."""
    assert LocalSettings.from_env({}) == LocalSettings()


def test_an_empty_variable_counts_as_not_set() -> None:
    """A line `PORT=` in an example file changes nothing."""
    assert LocalSettings.from_env(dict.fromkeys(LocalSettings.VARIABLES, " ")) == LocalSettings()


def test_every_variable_is_read_and_listed() -> None:
    """Every listed variable is read, and sets the field of the same name."""
    environment = {
        "PORT": "1",
        "DYNAMODB_ENGINE": "dynamodb-local",
        "DYNAMODB_ENDPOINT_URL": "http://localhost:2",
        "DYNAMODB_PORT": "3",
        "REDIS_PORT": "4",
        "UPSTASH_PORT": "5",
        "UPSTASH_REDIS_REST_URL": "https://example.upstash.io",
        "UPSTASH_REDIS_REST_TOKEN": "made-up",
        "TABLE_NAME": "chat.test-1",
        "THROTTLE_RATE": "6",
        "CONCURRENCY": "7",
        "REALTIME": "off",
        "REALTIME_IDLE_SECONDS": "8",
        "REALTIME_CONNECTION_SECONDS": "9",
        "LOG": "json",
    }
    recording = Recording(environment)
    settings = LocalSettings.from_env(recording)
    assert recording.asked == set(LocalSettings.VARIABLES) == set(environment)
    assert {name: str(getattr(settings, name.lower())) for name in environment} == environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "٣"),
        ("DYNAMODB_PORT", "8000.0"),
        ("REDIS_PORT", "0x10"),
        ("THROTTLE_RATE", "-1"),
        ("CONCURRENCY", "many"),
        ("REALTIME", "yes"),
        ("REALTIME_IDLE_SECONDS", "0"),
        ("UPSTASH_PORT", "1e3"),
        ("DYNAMODB_ENGINE", "moto"),
        ("DYNAMODB_ENDPOINT_URL", "localhost:8000"),
        ("DYNAMODB_ENDPOINT_URL", "http://localhost:99999"),
        ("UPSTASH_REDIS_REST_URL", "redis://example.com"),
        ("UPSTASH_REDIS_REST_URL", "https://"),
        ("TABLE_NAME", "ab"),
        ("TABLE_NAME", "a table"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    """The message names the invalid variable."""
    with pytest.raises(SettingError, match=rf"^{name}(:| must be) "):
        LocalSettings.from_env({name: value, "UPSTASH_REDIS_REST_TOKEN": "made-up"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CACHE_MEMORY_BYTES", "0"),
        ("METRICS_DETAIL", "ful"),
        ("LOG_LEVEL", "loud"),
        ("CACHE_ENCRYPTION_KEY", "short"),
        ("UPSTASH_REDIS_REST_URL", "us1-x.upstash.io"),
        ("RATE_LIMIT_BURST", "1.5"),
    ],
)
def test_what_functions_would_refuse_is_refused_at_the_start(
    tmp_path: Path, variable: str, value: str
) -> None:
    """The start fails with the variable's name, rather than each request."""
    environ = {variable: value}
    with pytest.raises(SettingError, match=f"^{variable}: "):
        Stack(LocalSettings(), ROOT, directory=tmp_path / "state", environ=environ).__enter__()
    assert not (tmp_path / "state").exists()


def test_stack_and_functions_refuse_in_the_same_words() -> None:
    """For the wrong one of the console's addresses, `make run` also names the right one."""
    given = {
        "UPSTASH_REDIS_REST_URL": "rediss://default:secret@x.upstash.io:6379",
        "UPSTASH_REDIS_REST_TOKEN": "t",
    }
    with pytest.raises(SettingError, match=r"this is the Redis URL.*https://NAME\.upstash\.io") as refused:
        LocalSettings.from_env(given)
    with pytest.raises(SettingsError) as of_functions:
        Settings.from_env(given)
    assert str(refused.value) == str(of_functions.value)


def test_a_redis_url_of_another_project_does_not_matter() -> None:
    """Functions get the local endpoint's address, which takes precedence."""
    refuse_unusable({"REDIS_URL": "redis://localhost:6379"})


def test_an_upstash_address_needs_its_token() -> None:
    """An address without its token is refused at the start, not at the first request."""
    with pytest.raises(SettingError, match=r"^UPSTASH_REDIS_REST_TOKEN is missing"):
        LocalSettings.from_env({"UPSTASH_REDIS_REST_URL": "https://example.upstash.io"})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=value", "value"),
        ("  KEY = value  ", "value"),
        ("export KEY=value", "value"),
        ("KEY=", ""),
        ("KEY=a=b", "a=b"),
        ("KEY=a#b", "a#b"),
        ("KEY=a # comment", "a"),
        ("KEY= # comment", ""),
        ('KEY="a # b"', "a # b"),
        ("KEY='a \"b\"' # comment", 'a "b"'),
        ('KEY="it\'s"', "it's"),
        ('KEY="open', '"open'),
        ("KEY=$HOME", "$HOME"),
        ("KEY=né", "né"),
    ],
)
def test_a_line_of_an_env_file(line: str, value: str) -> None:
    """Quotes and comments are supported; nothing is expanded."""
    assert parse_env_file(f"# first\n\n{line}\r\n") == {"KEY": value}


@pytest.mark.parametrize("line", ["KEY", "=value", "KEY value", "1KEY=value", "KEY-2=value"])
def test_a_line_that_assigns_nothing_is_refused(line: str) -> None:
    """The message has file and line, but not the text, which may be secret."""
    with pytest.raises(SettingError, match=r"^\.env, line 2: expected KEY=VALUE$"):
        parse_env_file(f"A=1\n{line}")


def test_the_environment_goes_before_the_files(tmp_path: Path) -> None:
    """The environment takes precedence, then `.env.local`, then `.env`."""
    (tmp_path / ".env").write_text("A=env\nB=env\nC=env\n", encoding="utf-8")
    (tmp_path / ".env.local").write_text("A=local\nB=local\n", encoding="utf-8")
    assert read_environment(tmp_path, {"A": "real"}) == {"A": "real", "B": "local", "C": "env"}


def test_no_env_file_is_needed(tmp_path: Path) -> None:
    """Without files the environment is unchanged."""
    assert read_environment(tmp_path, {"A": "real"}) == {"A": "real"}
