"""The deep health check's probe of Redis.

A ``PING`` is free, and succeeds even if every billed command is refused. So the probe reads a bundle and writes another
value, which need the same quota, space and rights as the functions' commands. As anybody may call the health check, an
allowance limits these commands.
"""

from __future__ import annotations

from typing import Final

from shared.cache.upstash import RedisError, Upstash

EXPIRY_SECONDS: Final = 60


def probe(upstash: Upstash, read_key: str, write_key: str) -> None:
    """Returns if Redis works; beyond the allowance only ``PING`` is sent.

    Args:
        upstash: the database.
        read_key: a key that functions read and write; the probe only reads it.
        write_key: a key that only the probe uses.

    Raises:
        RedisError: with the kind of failure; if the breaker is open, the failure that opened it.
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
        raise RedisError("garbled")  # it is not a Redis


def _read(upstash: Upstash, key: str) -> None:
    try:
        upstash.execute("probe", "GET", key)
    except RedisError as error:
        if error.kind != "wrong_type":  # functions treat that as a miss and overwrite the value
            raise
