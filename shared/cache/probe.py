"""Whether Redis does for functions what they ask of it: what the deep health check asks.

A ``PING`` is free, and goes well while every command that is billed is refused. So the check reads a bundle and writes
a value beside it, which needs the same quota, room and rights. Everybody may call it: such probes have an allowance.
"""

from __future__ import annotations

from typing import Final

from shared.cache.upstash import RedisError, Upstash

EXPIRY_SECONDS: Final = 60


def probe(upstash: Upstash, read_key: str, write_key: str) -> None:
    """Returns if all is well; beyond the allowance, that is what ``PING`` says.

    Args:
        upstash: the database.
        read_key: a key that functions read and write: read here, never written.
        write_key: a key beside it, for this alone.

    Raises:
        RedisError: with the cause: that of an open breaker is the failure that opened it.
    """
    try:
        pong = upstash.execute("ping", "PING")
        if upstash.probes.take():
            _read(upstash, read_key)
            upstash.execute("probe", "SET", write_key, "1", "EX", EXPIRY_SECONDS)
    except RedisError as error:
        if error.kind == "breaker_open" and (cause := upstash.breaker.cause):
            raise RedisError(cause) from None
        raise
    if pong != "PONG":
        raise RedisError("garbled")  # whatever answers there, it is no Redis


def _read(upstash: Upstash, key: str) -> None:
    try:
        upstash.execute("probe", "GET", key)
    except RedisError as error:
        if error.kind != "wrong_type":  # functions take that for a miss, and write over it
            raise
