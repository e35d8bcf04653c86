"""The functions' settings, from environment variables; nothing is read at import."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from shared.domain import plans

CODECS: Final = ("zstd", "gzip")
DETAILS: Final = ("basic", "full")
"""Of metrics; see ``shared.observability.telemetry``."""
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Of the log."""
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "CACHE_CODEC": CODECS,
    "LOG_LEVEL": LEVELS,
    "METRICS_DETAIL": DETAILS,
    "UPSTASH_PLAN": tuple(plans.PLANS),
}
"""Variables that take one of a few values."""
RANGES: Final[dict[str, tuple[float, float]]] = {
    "DYNAMODB_CONNECT_TIMEOUT_MS": (1, 10_000),
    "DYNAMODB_READ_TIMEOUT_MS": (1, 10_000),
    "DYNAMODB_ATTEMPTS": (1, 10),
    "REDIS_CONNECT_TIMEOUT_MS": (1, 10_000),
    "REDIS_READ_TIMEOUT_MS": (1, 10_000),
    "REDIS_WAIT_MS": (1, 10_000),
    "REDIS_BREAKER_FAILURES": (1, 1_000),
    "REDIS_BREAKER_OPEN_MS": (1, 300_000),
    "CACHE_TTL_CHANNELS": (1, 86_400),
    "CACHE_TTL_MESSAGES": (1, 86_400),
    "CACHE_KEEP": (1, 2_592_000),
    "CACHE_MEMORY_BYTES": (1, 10_737_418_240),
    "RATE_LIMIT_PER_SECOND": (0.001, 10_000),
    "RATE_LIMIT_BURST": (1, 1_000_000),
    "MAX_CHANNELS_PER_USER": (1, 1_000_000),
    "READ_UNITS_PER_MINUTE": (1, 1_000_000_000),
}
"""The least and the most of each variable that is a number; ``.env.example`` says the same."""
UPSTASH_DOMAIN: Final = ".upstash.io"
MIN_SECRET: Final = 32
"""Characters of the secret that cached values are encrypted with: a short one could be guessed."""
_TABLE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
"""DynamoDB's own rule."""
_QUOTED: Final = re.compile(r"""(["'])(.*)\1""")


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
    max_members_for_everybody: int = _setting("MAX_MEMBERS_FOR_EVERYBODY", 50)
    read_units_per_minute: int = _setting("READ_UNITS_PER_MINUTE", 12_000)
    log_level: str = _setting("LOG_LEVEL", "INFO")
    metrics_detail: str = _setting("METRICS_DETAIL", "basic")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that these variables say. Quotes around a value are no part of it, as `.env` files have it.

        Raises:
            SettingsError: a value cannot be used; the message names the variable, and never quotes a secret.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            text = unquoted(environ.get(each.metadata["variable"], ""))
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


def unquoted(text: str) -> str:
    """A value without blanks and quotes around it, as a `.env` file is read."""
    stripped = text.strip()
    quoted = _QUOTED.fullmatch(stripped)
    return quoted[2].strip() if quoted else stripped


def _parse(variable: str, text: str, kind: type) -> str | int | float:
    if kind is str:
        return parse_text(variable, text)
    try:
        number: int | float = kind(text)
    except ValueError:
        whole = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{variable}: {text!r} is not {whole}") from None
    least, most = RANGES[variable]
    if not least <= number <= most:
        raise SettingsError(f"{variable}: {text!r} is not between {least} and {most}")
    return number


def parse_text(variable: str, text: str) -> str:
    """The value of a variable that is no number.

    Raises:
        SettingsError: it cannot be used.
    """
    choices = CHOICES.get(variable)
    if choices and text not in choices:
        raise SettingsError(f"{variable}: {text!r} is none of {', '.join(choices)}")
    if variable == "TABLE_NAME" and not _TABLE_NAME.fullmatch(text):
        raise SettingsError(f"{variable}: {text!r} is not 3 to 255 letters, digits, '_', '.' or '-'")
    if variable == "UPSTASH_REDIS_REST_TOKEN" and not (text.isascii() and text.isprintable()):
        raise SettingsError(f"{variable}: has characters that no token has")
    if variable == "UPSTASH_REDIS_REST_URL":
        return _rest_address(variable, text)
    if variable == "DYNAMODB_ENDPOINT_URL":
        return _address(variable, text)
    return text


def _address(variable: str, text: str) -> str:
    """An address without a slash at its end. It is not quoted where it cannot be used: it may hold a password.

    Raises:
        SettingsError: it is none.
    """
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        is_address = is_bare = False
    if not is_address or not text.isascii() or len(text.split()) > 1:
        raise SettingsError(f"{variable}: not an address that begins with http:// or https://")
    if not is_bare:
        raise SettingsError(f"{variable}: an address of host and port alone, without user, password or ?")
    return text.rstrip("/")


def _rest_address(variable: str, text: str) -> str:
    lowered = text.lower()
    if lowered.startswith(("redis://", "rediss://")):
        msg = f"{variable}: this is the Redis URL; set it as REDIS_URL, or take the REST address: https://NAME{UPSTASH_DOMAIN}"
        raise SettingsError(msg)
    if "://" not in lowered:
        raise SettingsError(f"{variable}: begins with https://, as the Upstash console shows it")
    address = _address(variable, text)
    if lowered.startswith("http://") and (urlsplit(address).hostname or "").endswith(UPSTASH_DOMAIN):
        raise SettingsError(
            f"{variable}: begins with https://; over http:// the token could be read on the way"
        )
    return address


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
