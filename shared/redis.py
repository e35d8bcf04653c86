"""Upstash Redis over REST, reached for a health check; the cache builds on it."""

from __future__ import annotations

from shared.errors import UnavailableError
from shared.settings import Settings

TIMEOUT_SECONDS = 0.5


class RedisUnavailableError(UnavailableError):
    """Redis does not answer just now; chat works without it."""

    code = "redis_unavailable"


def ping(settings: Settings) -> None:
    """Reaches Redis with its free command.

    Raises:
        RedisUnavailableError: it is slow, refuses the token, is over its quota, or cannot be reached.
    """
    import httpx  # noqa: PLC0415 - only a deep health check pays for it

    try:
        answer = httpx.post(
            settings.upstash_url,
            json=["PING"],
            headers={"Authorization": f"Bearer {settings.upstash_token}"},
            timeout=TIMEOUT_SECONDS,
        )
        healthy = answer.json() == {"result": "PONG"}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise RedisUnavailableError from error
    if not healthy:
        raise RedisUnavailableError
