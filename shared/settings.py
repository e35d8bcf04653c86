"""The functions' settings from environment variables; nothing is read at import."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from shared.domain import plans

CODECS: Final = ("zstd", "gzip")
DETAILS: Final = ("basic", "full")
"""Which metrics are written; see ``shared.observability.telemetry``."""
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""The log's levels."""
SERVICE: Final = "budgie"
"""The default of the metrics' only dimension, ``service``. The template sets it to the stack's name, so that two stacks
in a region have separate metrics."""
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "CACHE_CODEC": CODECS,
    "LOG_LEVEL": LEVELS,
    "METRICS_DETAIL": DETAILS,
    "UPSTASH_PLAN": tuple(plans.PLANS),
}
"""The variables with a fixed set of values."""
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
    "MAX_MEMBERS_FOR_EVERYBODY": (1, 1_000_000),
    "MAX_CHANNELS_PER_USER": (1, 1_000_000),
    "READ_UNITS_PER_MINUTE": (1, 1_000_000_000),
}
"""The smallest and the largest value of each number; a test compares them with ``.env.example``."""
UPSTASH_DOMAIN: Final = ".upstash.io"
MIN_SECRET: Final = 32
"""The shortest secret, in characters, to encrypt cached values with; a shorter one could be guessed."""
_TABLE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
"""DynamoDB's rule."""
_QUOTED: Final = re.compile(r"""(["'])(.*)\1""")


class SettingsError(ValueError):
    """A variable has an invalid value; the message names the variable."""


def _setting(variable: str, default: Any) -> Any:  # noqa: ANN401 - a dataclass field takes the type of its default
    return field(default=default, metadata={"variable": variable})


def _secret(variable: str) -> Any:  # noqa: ANN401 - as above
    """A setting that the settings' ``repr`` does not show."""
    return field(default="", metadata={"variable": variable}, repr=False)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The settings of log and metrics.

    They must be usable before ``Settings`` are, to report that these are invalid. So invalid values become defaults
    here; ``Settings.from_env`` refuses them.
    """

    service: str
    level: str
    is_detailed: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> LogSettings:
        """Reads the variables in Powertools' order of precedence; unlike there, an empty variable counts as unset."""
        level = environ.get("POWERTOOLS_LOG_LEVEL") or environ.get("LOG_LEVEL") or ""
        level = level.strip().upper()
        return cls(
            service=environ.get("POWERTOOLS_SERVICE_NAME", "").strip() or SERVICE,
            level=level if level in LEVELS else "INFO",
            is_detailed=unquoted(environ.get("METRICS_DETAIL", "")) == "full",
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field names its variable; an absent or empty variable means the default."""

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
    realtime_url: str = _setting("REALTIME_URL", "")
    log_level: str = _setting("LOG_LEVEL", "INFO")
    metrics_detail: str = _setting("METRICS_DETAIL", "basic")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads the settings from variables. Quotes around a value are removed, as in `.env` files.

        Raises:
            SettingsError: a value is invalid; the message names the variable, and never quotes a secret.
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
        """Whether the values in Redis are encrypted."""
        return bool(self.cache_encryption_key or self.cache_encryption_key_parameter)

    @classmethod
    def variables(cls) -> list[str]:
        """The names of all variables."""
        return [each.metadata["variable"] for each in fields(cls)]


def unquoted(text: str) -> str:
    """A value without surrounding blanks and quotes, as in `.env` files."""
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
    """Validates a variable that is not a number, and returns its value.

    Raises:
        SettingsError: it is invalid.
    """
    choices = CHOICES.get(variable)
    if choices and text not in choices:
        raise SettingsError(f"{variable}: {text!r} is not one of {', '.join(choices)}")
    if variable == "TABLE_NAME" and not _TABLE_NAME.fullmatch(text):
        raise SettingsError(f"{variable}: {text!r} is not 3 to 255 letters, digits, '_', '.' or '-'")
    if variable == "UPSTASH_REDIS_REST_TOKEN" and not (text.isascii() and text.isprintable()):
        raise SettingsError(f"{variable}: contains characters that a token cannot have")
    if variable == "UPSTASH_REDIS_REST_URL":
        return _rest_address(variable, text)
    if variable == "DYNAMODB_ENDPOINT_URL":
        return _address(variable, text)
    if variable == "REALTIME_URL":
        return _address(variable, text, ("ws", "wss"))
    return text


def _address(variable: str, text: str, schemes: Sequence[str] = ("http", "https")) -> str:
    """Validates a URL, and removes a slash at its end. Errors do not quote it, as it may contain a password.

    Raises:
        SettingsError: it is invalid.
    """
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        is_address = is_bare = False
    if not is_address or not text.isascii() or len(text.split()) > 1:
        raise SettingsError(f"{variable}: not a URL that begins with {schemes[0]}:// or {schemes[1]}://")
    if not is_bare:
        raise SettingsError(f"{variable}: must be host and port only, without user, password, ? or #")
    return text.rstrip("/")


def _rest_address(variable: str, text: str) -> str:
    lowered = text.lower()
    if lowered.startswith(("redis://", "rediss://")):
        msg = f"{variable}: this is the Redis URL; set it as REDIS_URL, or use the REST URL: https://NAME{UPSTASH_DOMAIN}"
        raise SettingsError(msg)
    if "://" not in lowered:
        raise SettingsError(f"{variable}: must begin with https://, as in the Upstash console")
    address = _address(variable, text)
    if lowered.startswith("http://") and (urlsplit(address).hostname or "").endswith(UPSTASH_DOMAIN):
        raise SettingsError(
            f"{variable}: must begin with https://; over http:// the token would be sent unencrypted"
        )
    return address


def _rest_of(redis_url: str) -> tuple[str, str]:
    """The REST URL and token of an Upstash database, from its Redis URL."""
    try:
        parts = urlsplit(redis_url)
    except ValueError:
        parts = urlsplit("")  # the error would quote the password
    host = parts.hostname or ""
    if parts.scheme not in {"redis", "rediss"} or not host.endswith(UPSTASH_DOMAIN) or not parts.password:
        msg = (
            "REDIS_URL: only an Upstash database's rediss://default:PASSWORD@NAME.upstash.io:PORT is supported, as "
            "Budgie uses REST; for other databases set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN"
        )
        raise SettingsError(msg)
    return f"https://{host}", unquote(parts.password)
