"""The functions' settings, from environment variables; nothing is read at import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names it."""


def _setting(variable: str, default: Any) -> Any:  # noqa: ANN401 - a dataclass field takes the type of its default
    return field(default=default, metadata={"variable": variable})


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field names its variable; the default holds where the variable is absent or empty."""

    table_name: str = _setting("TABLE_NAME", "budgie")
    dynamodb_endpoint_url: str = _setting("DYNAMODB_ENDPOINT_URL", "")
    dynamodb_connect_timeout_ms: int = _setting("DYNAMODB_CONNECT_TIMEOUT_MS", 500)
    dynamodb_read_timeout_ms: int = _setting("DYNAMODB_READ_TIMEOUT_MS", 2_000)
    dynamodb_attempts: int = _setting("DYNAMODB_ATTEMPTS", 3)
    upstash_url: str = _setting("UPSTASH_REDIS_REST_URL", "")
    upstash_token: str = _setting("UPSTASH_REDIS_REST_TOKEN", "")
    rate_per_second: float = _setting("RATE_LIMIT_PER_SECOND", 5.0)
    rate_burst: int = _setting("RATE_LIMIT_BURST", 20)
    log_level: str = _setting("LOG_LEVEL", "INFO")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that these variables say.

        Raises:
            SettingsError: a number is no number, or not above 0; the message names the variable.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            text = environ.get(each.metadata["variable"], "").strip()
            if text:
                given[each.name] = _parse(each.metadata["variable"], text, type(each.default))
        return cls(**given)

    @classmethod
    def variables(cls) -> list[str]:
        """The names of all variables that are read."""
        return [each.metadata["variable"] for each in fields(cls)]


def _parse(variable: str, text: str, kind: type) -> str | int | float:
    if kind is str:
        return text
    try:
        number: int | float = kind(text)
    except ValueError:
        raise SettingsError(f"{variable}: {text!r} is not a number") from None
    if not 0 < number < float("inf"):
        raise SettingsError(f"{variable}: {text!r} is not above 0")
    return number
