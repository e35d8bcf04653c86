"""The developer's settings for the local stack: from the environment, then `.env.local`, then `.env`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from local.dynamodb.engine import ENGINES
from shared.settings import Settings, SettingsError, parse_text, unquoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HIGHEST_PORT: Final = 65535
_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)", re.ASCII)
_UNQUOTED_COMMENT: Final = re.compile(r"(^|\s)#.*")
_QUOTED: Final = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")
LOGS: Final = ("line", "json")
_SWITCH: Final = ("on", "off")
_FILES: Final = (".env.local", ".env")


class SettingError(ValueError):
    """A setting has an invalid value; the text names the variable."""


@dataclass(frozen=True)
class LocalSettings:
    """The local stack's settings.

    Ports are preferred ones: another is used if one is not free, and 0 means any.

    An address that is set (`dynamodb_endpoint_url`, `upstash_redis_rest_url`) replaces our own engine,
    which is then not started.
    """

    port: int = 3000
    dynamodb_engine: str = "ministack"
    dynamodb_endpoint_url: str = ""
    dynamodb_port: int = 8000
    redis_port: int = 6390
    upstash_port: int = 8079
    upstash_redis_rest_url: str = ""
    upstash_redis_rest_token: str = ""
    table_name: str = "budgie"
    throttle_rate: int = 0
    concurrency: int = 1000
    realtime: str = "on"
    realtime_idle_seconds: int = 600
    realtime_connection_seconds: int = 7200
    log: str = "line"

    VARIABLES: ClassVar[Mapping[str, str]] = {
        "PORT": "port of the API",
        "DYNAMODB_ENGINE": "ministack, or dynamodb-local for AWS's own (needs Java 17 and npm)",
        "DYNAMODB_ENDPOINT_URL": "address of a DynamoDB engine that runs elsewhere; none is started then",
        "DYNAMODB_PORT": "port of the DynamoDB engine",
        "REDIS_PORT": "port of the Redis server",
        "UPSTASH_PORT": "port of the Upstash REST endpoint before the Redis server",
        "UPSTASH_REDIS_REST_URL": "address of an Upstash database of yours; no Redis is started then",
        "UPSTASH_REDIS_REST_TOKEN": "the token of that database",
        "TABLE_NAME": "the DynamoDB table",
        "THROTTLE_RATE": "requests a second, and at once, to each route; 0: as template.yaml says",
        "CONCURRENCY": "functions that run at once; 1000 is what AWS gives an account, 0 is no limit",
        "REALTIME": "on, or off for a stack without a WebSocket API",
        "REALTIME_IDLE_SECONDS": "seconds after which a silent WebSocket connection ends; 600 on AWS",
        "REALTIME_CONNECTION_SECONDS": "seconds that a WebSocket connection lasts at most; 7200 on AWS",
        "LOG": "what is shown of a request: line, or json for all that a function logs",
    }
    """All variables that are read, with their meaning."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> LocalSettings:
        """Read the settings; an empty variable counts as not set.

        Raises:
            SettingError: a value is invalid.
        """
        given = {name: text for name in cls.VARIABLES if (text := unquoted(environ.get(name, "")))}
        settings = cls(
            port=_port(given, "PORT", cls.port),
            dynamodb_engine=_one_of(given, "DYNAMODB_ENGINE", cls.dynamodb_engine, ENGINES),
            dynamodb_endpoint_url=_as_functions_do(given, "DYNAMODB_ENDPOINT_URL"),
            dynamodb_port=_port(given, "DYNAMODB_PORT", cls.dynamodb_port),
            redis_port=_port(given, "REDIS_PORT", cls.redis_port),
            upstash_port=_port(given, "UPSTASH_PORT", cls.upstash_port),
            upstash_redis_rest_url=_as_functions_do(given, "UPSTASH_REDIS_REST_URL"),
            upstash_redis_rest_token=given.get("UPSTASH_REDIS_REST_TOKEN", ""),
            table_name=_as_functions_do(given, "TABLE_NAME", cls.table_name),
            throttle_rate=_count(given, "THROTTLE_RATE", cls.throttle_rate),
            concurrency=_count(given, "CONCURRENCY", cls.concurrency),
            realtime=_one_of(given, "REALTIME", cls.realtime, _SWITCH),
            realtime_idle_seconds=_count(given, "REALTIME_IDLE_SECONDS", cls.realtime_idle_seconds, least=1),
            realtime_connection_seconds=_count(
                given, "REALTIME_CONNECTION_SECONDS", cls.realtime_connection_seconds, least=1
            ),
            log=_one_of(given, "LOG", cls.log, LOGS),
        )
        if settings.upstash_redis_rest_url and not settings.upstash_redis_rest_token:
            raise SettingError("UPSTASH_REDIS_REST_TOKEN is missing: UPSTASH_REDIS_REST_URL is set")
        return settings


def refuse_unusable(environ: Mapping[str, str]) -> None:
    """Validate the functions' variables as they do, before every request fails for an invalid one.

    Raises:
        SettingError: a value is invalid; the text names the variable.
    """
    ours = {"UPSTASH_REDIS_REST_URL": "http://127.0.0.1", "UPSTASH_REDIS_REST_TOKEN": "ours"}
    seen = dict(environ) if environ.get("UPSTASH_REDIS_REST_URL", "").strip() else {**environ, **ours}
    try:
        Settings.from_env(seen)
    except SettingsError as error:
        raise SettingError(str(error)) from None


def read_environment(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment, completed by `.env.local` and `.env` in `root`.

    Raises:
        SettingError: one of their lines is not an assignment.
    """
    merged = dict(environ)
    for name in _FILES:
        path = root / name
        if path.is_file():
            merged = parse_env_file(path.read_text(encoding="utf-8"), name) | merged
    return merged


def parse_env_file(text: str, file_name: str = ".env") -> dict[str, str]:
    """Parse lines of `KEY=VALUE`, with `#` comments and single or double quotes; nothing is expanded.

    Raises:
        SettingError: a line is not an assignment; its text is not shown, as it may be secret.
    """
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line.strip())
        if assignment is None:
            raise SettingError(f"{file_name}, line {number}: expected KEY=VALUE")
        values[assignment[1]] = _value(assignment[2])
    return values


def _value(text: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2]
    return _UNQUOTED_COMMENT.sub("", text).strip()


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT):
        raise SettingError(f"{name} must be a port, 0 to {_HIGHEST_PORT} (0: any free one), not {text!r}")
    return int(text)


def _count(given: Mapping[str, str], name: str, default: int, *, least: int = 0) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise SettingError(f"{name} must be a number, {least} or more, not {text!r}")
    return int(text)


def _one_of(given: Mapping[str, str], name: str, default: str, choices: Sequence[str]) -> str:
    text = given.get(name, default)
    if text not in choices:
        raise SettingError(f"{name} must be {' or '.join(choices)}, not {text!r}")
    return text


def _as_functions_do(given: Mapping[str, str], name: str, default: str = "") -> str:
    """Read a variable that the functions read too, with the same validation and error text."""
    text = given.get(name, default)
    try:
        return parse_text(name, text) if text else ""
    except SettingsError as error:
        raise SettingError(str(error)) from None
