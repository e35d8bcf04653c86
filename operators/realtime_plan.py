"""What push takes in a month: frames, connection minutes, invocations and units, by what ``bench.measure`` measured.

An upper bound: each post is a frame of its own (the dispatcher puts a burst into one) and runs the dispatcher twice, as
its items are in two partitions; each channel whose watchers change runs it once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from operators import prices
from shared.domain.plans import DAYS, GB
from shared.domain.realtime import PING_SECONDS

CROWD: Final = 20
"""Users whom the measured ``post``, ``typing`` and ``presence`` reached."""
WATCHED: Final = 8
"""Channels of the measured ``watch``, ``ping`` and ``disconnect``."""
TYPED: Final = 2
"""Frames ``typing`` for each post: 6 seconds."""
MEMORY_GB: Final = 0.5
DISPATCHER_GB: Final = 1_769 / 1_024
"""Of the functions, and of the dispatcher, as in the template."""
DISPATCHED: Final = frozenset({"post", "post to one", "presence", "nothing"})
Operations = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Push:
    """A month's amounts.

    Attributes:
        requests: Of the HTTP API: tickets.
        invocations: Of Lambda, without those of ``requests``.
        messages: Frames in both directions, in pieces of 32 KB.
        live_messages: Those of them that only users who look at a channel cause or get: ``typing``, ``presence``.
        minutes: Of connections.
    """

    requests: float = 0.0
    invocations: float = 0.0
    messages: float = 0.0
    live_messages: float = 0.0
    minutes: float = 0.0
    read_units: float = 0.0
    write_units: float = 0.0
    gb_seconds: float = 0.0
    log_gb: float = 0.0
    egress_gb: float = 0.0

    @property
    def dollars(self) -> float:
        """Of the WebSocket API alone."""
        return self.messages * prices.WEBSOCKET_MESSAGE + self.minutes * prices.CONNECTION_MINUTE


def push(
    known: Operations,
    sessions: float,
    minutes: float,
    looks: float,
    posts: float,
    channels: float,
    watchers: float,
) -> Push:
    """A month.

    Args:
        known: What each operation takes: ``operators/measured.json``.
        sessions: A day, of all users.
        minutes: Of a session.
        looks: Channels that are opened in a session.
        posts: In a session.
        channels: Of a user, all of them watched.
        watchers: Connections that watch a post's channel.
    """
    live = watchers / max(channels, 1)  # each looks at one of the channels
    pings, shares = minutes * 60 / PING_SECONDS, channels / WATCHED
    each = {
        "ticket": 1,
        "connect": 1,
        "disconnect": shares,
        "watch": shares,
        "look": looks,
        "ping": pings,
        "typing": TYPED * posts,
        "post": posts,
        "presence": 2 * channels,
        "nothing": posts,
    }
    reached = {"post": watchers, "typing": live, "presence": live}
    month = {name: DAYS * sessions * count for name, count in each.items()}

    def total(figure: str) -> float:
        return sum(count * _of(known, name, figure, reached.get(name)) for name, count in month.items())

    seconds = {name: _of(known, name, "ms", reached.get(name)) / 1000 for name in month}
    logged = sum(
        month[name] * (known[name]["log_bytes"] + prices.LOG_EVENT + prices.PLATFORM_LOG) for name in month
    )
    return Push(
        requests=month["ticket"],
        invocations=sum(month.values()) - month["ticket"],
        messages=total("messages"),
        live_messages=sum(
            month[name] * _of(known, name, "messages", live) for name in ("typing", "presence")
        ),
        minutes=DAYS * sessions * minutes,
        read_units=total("read_units"),
        write_units=total("write_units"),
        gb_seconds=sum(
            month[name] * seconds[name] * (DISPATCHER_GB if name in DISPATCHED else MEMORY_GB)
            for name in month
        ),
        log_gb=logged / GB,
        egress_gb=total("bytes_out") / GB,
    )


def _of(known: Operations, name: str, figure: str, reached: float | None) -> float:
    """A figure of an operation; where it grows with the users that are reached, in proportion to these."""
    found = known[name][figure]
    if reached is None or figure in {"read_units", "write_units"}:
        return found
    if figure == "ms":
        one = known["post to one"]["ms"]
        more = (known["post"]["ms"] - one) / (CROWD - 1)
        return max(0.0, found + (reached - CROWD) * more)
    frames = known[name]["frames"]
    own = found - frames if figure == "messages" else 0.0
    return own + (found - own) * reached / frames
