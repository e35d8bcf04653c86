"""The functions' settings, from environment variables; nothing is read at import."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from shared import plans

CODECS: Final = ("zstd", "gzip")
DETAILS: Final = ("basic", "full")
"""Of metrics; see ``shared.telemetry``."""
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "CACHE_CODEC": CODECS,
    "LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "UPSTASH_PLAN": tuple(plans.PLANS),
}
"""Variables that take one of a few values."""
UPSTASH_DOMAIN: Final = ".upstash.io"
MIN_SECRET: Final = 32
"""Characters of the secret that cached values are encrypted with: a short one could be guessed."""


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names it."""


def _setting(variable: str, default: Any) -> Any:  # noqa: ANN401 - a dataclass field takes the type of its default
    return field(default=default, metadata={"variable": variable})


def _secret(variable: str) -> Any:  # noqa: ANN401 - as above
    """A setting that no printed form of the settings shows."""
    return field(default="", metadata={"variable": variable}, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field names its variable; the default holds where the variable is absent or empty."""

    table_name: str = _setting("TABLE_NAME", "budgie")
    dynamodb_endpoint_url: str = _setting("DYNAMODB_ENDPOINT_URL", "")
    dynamodb_connect_timeout_ms: int = _setting("DYNAMODB_CONNECT_TIMEOUT_MS", 500)
    dynamodb_read_timeout_ms: int = _setting("DYNAMODB_READ_TIMEOUT_MS", 2_000)
    dynamodb_attempts: int = _setting("DYNAMODB_ATTEMPTS", 3)
    upstash_url: str = _setting("UPSTASH_REDIS_REST_URL", "")
    upstash_token: str = _secret("UPSTASH_REDIS_REST_TOKEN")
    upstash_token_parameter: str = _setting("UPSTASH_TOKEN_PARAMETER", "")
    redis_url: str = _secret("REDIS_URL")
    redis_connect_timeout_ms: int = _setting("REDIS_CONNECT_TIMEOUT_MS", 200)
    redis_read_timeout_ms: int = _setting("REDIS_READ_TIMEOUT_MS", 300)
    redis_wait_ms: int = _setting("REDIS_WAIT_MS", 50)
    redis_breaker_failures: int = _setting("REDIS_BREAKER_FAILURES", 3)
    redis_breaker_open_ms: int = _setting("REDIS_BREAKER_OPEN_MS", 10_000)
    cache_ttl_channels: int = _setting("CACHE_TTL_CHANNELS", 300)
    cache_ttl_messages: int = _setting("CACHE_TTL_MESSAGES", 120)
    cache_keep_seconds: int = _setting("CACHE_KEEP", 86_400)
    cache_memory_bytes: int = _setting("CACHE_MEMORY_BYTES", 32 * 1024 * 1024)
    cache_codec: str = _setting("CACHE_CODEC", "zstd")
    cache_encryption_key: str = _secret("CACHE_ENCRYPTION_KEY")
    cache_encryption_key_parameter: str = _setting("CACHE_ENCRYPTION_KEY_PARAMETER", "")
    upstash_plan: str = _setting("UPSTASH_PLAN", plans.DEFAULT)
    rate_per_second: float = _setting("RATE_LIMIT_PER_SECOND", 5.0)
    rate_burst: int = _setting("RATE_LIMIT_BURST", 25)
    max_channels_per_user: int = _setting("MAX_CHANNELS_PER_USER", 1_000)
    read_units_per_minute: int = _setting("READ_UNITS_PER_MINUTE", 12_000)
    log_level: str = _setting("LOG_LEVEL", "INFO")
    metrics_detail: str = _setting("METRICS_DETAIL", "basic")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that these variables say.

        Raises:
            SettingsError: a value cannot be used; the message names the variable, and never quotes a secret.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            text = environ.get(each.metadata["variable"], "").strip()
            if text:
                given[each.name] = _parse(each.metadata["variable"], text, type(each.default))
        settings = cls(**given)
        if 0 < len(settings.cache_encryption_key) < MIN_SECRET:
            raise SettingsError(f"CACHE_ENCRYPTION_KEY: shorter than {MIN_SECRET} characters")
        if settings.redis_url and not settings.upstash_url:
            url, token = _rest_of(settings.redis_url)
            return replace(settings, upstash_url=url, upstash_token=token)
        if settings.upstash_url and not (settings.upstash_token or settings.upstash_token_parameter):
            msg = "UPSTASH_REDIS_REST_TOKEN: missing, while UPSTASH_REDIS_REST_URL is set"
            raise SettingsError(msg)
        return settings

    @property
    def encrypts_cache(self) -> bool:
        """Whether values in Redis are encrypted."""
        return bool(self.cache_encryption_key or self.cache_encryption_key_parameter)

    @classmethod
    def variables(cls) -> list[str]:
        """The names of all variables that are read."""
        return [each.metadata["variable"] for each in fields(cls)]


def _check_choice(variable: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise SettingsError(f"{variable}: {value!r} is none of {', '.join(choices)}")


def _parse(variable: str, text: str, kind: type) -> str | int | float:
    if kind is str:
        if text not in CHOICES.get(variable, (text,)):
            raise SettingsError(f"{variable}: {text!r} is none of {', '.join(CHOICES[variable])}")
        return text
    try:
        number: int | float = kind(text)
    except ValueError:
        raise SettingsError(f"{variable}: {text!r} is not a number") from None
    if not 0 < number < float("inf"):
        raise SettingsError(f"{variable}: {text!r} is not above 0")
    return number


def _rest_of(redis_url: str) -> tuple[str, str]:
    """The REST address and token that belong to an Upstash database's Redis URL."""
    try:
        parts = urlsplit(redis_url)
    except ValueError:
        parts = urlsplit("")  # The error would quote the password.
    host = parts.hostname or ""
    if parts.scheme not in {"redis", "rediss"} or not host.endswith(UPSTASH_DOMAIN) or not parts.password:
        msg = (
            "REDIS_URL: only an Upstash database's rediss://default:PASSWORD@NAME.upstash.io:PORT is supported, as "
            "Budgie speaks REST; for anything else set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN"
        )
        raise SettingsError(msg)
    return f"https://{host}", unquote(parts.password)
