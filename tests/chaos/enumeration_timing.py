"""Does time tell a hidden channel from none? ``python -m tests.chaos.enumeration_timing [--json] [--check]``.

An outsider sends each request that names a channel to a private channel, whose pages its members have just read, and to
one that does not exist; the real handlers answer over an engine. A second channel that does not exist shows how far
apart the medians of equal requests lie on this machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bench.lib.command import finish, parser
from bench.lib.dynamodb import running, store_on
from bench.lib.functions import Ask, Handlers, routed
from bench.lib.timing import interleaved, summary
from local.dynamodb.engine import ENGINES, MINISTACK, default_engine
from operators.capacity import table
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.settings import Settings

OWNER, OUTSIDER = "ada", "eve"
MESSAGES: Final = 100
REQUESTS: Final[Mapping[str, tuple[str, str, object]]] = {
    "get the channel": ("GET", "", None),
    "read a page": ("GET", "/messages", None),
    "read a message": ("GET", "/messages/{message}", None),
    "post": ("POST", "/messages", {"text": "hello"}),
    "mark as read": ("PUT", "/read", {"last_read_seq": 1}),
    "change": ("PATCH", "", {"topic": "a topic"}),
    "archive": ("DELETE", "", None),
    "list members": ("GET", "/members", None),
    "join": ("PUT", "/members/me", {}),
    "leave": ("DELETE", "/members/me", None),
}
"""Every request that names a channel: method, path below the channel, body."""
HIDDEN, MISSING, ALSO_MISSING = "hidden", "missing", "also missing"
MOST_APART: Final = 30.0
"""Microseconds between the medians: as far apart as equal requests are on a noisy machine; a head costs 100."""
ROUNDS: Final = 120


class Scene:
    """A private channel with pages in memory, and the ids of two that there are not."""

    def __init__(self, services: Services) -> None:
        self._handlers = Handlers(services)
        made = self._handlers(Ask("POST", "/v1/channels", OWNER, {"kind": "private", "name": "crew"}))
        self._channels = {HIDDEN: made.json["id"]}
        for name in (MISSING, ALSO_MISSING):
            self._channels[name] = keys.new_channel_id()
        path = f"/v1/channels/{self._channels[HIDDEN]}/messages"
        for number in range(MESSAGES):
            self._handlers(Ask("POST", path, OWNER, {"text": f"message {number}"}))
        self._handlers(Ask("GET", path, OWNER))

    def call(self, request: str, where: str) -> Callable[[], int]:
        """A request, whose status it returns."""
        method, below, body = REQUESTS[request]
        channel = self._channels[where]
        path = f"/v1/channels/{channel}" + below.format(message=keys.message_id(channel, 7))
        function, event = routed(Ask(method, path, OUTSIDER, body))
        return lambda: int(self._handlers.invoke(function, event)["statusCode"])


def measure(services: Services, rounds: int) -> dict[str, Any]:
    """Every request's medians, and how far apart they are: microseconds."""
    scene, found = Scene(services), dict[str, Any]()
    for request in REQUESTS:
        print(request, file=sys.stderr, flush=True)
        calls = {where: scene.call(request, where) for where in (HIDDEN, MISSING, ALSO_MISSING)}
        statuses = {where: call() for where, call in calls.items()}
        medians = {name: summary(times)["p50"] for name, times in interleaved(calls, rounds).items()}
        found[request] = {
            "statuses": sorted(set(statuses.values())),
            "microseconds": medians,
            "apart": round(medians[HIDDEN] - medians[MISSING], 1),
            "noise": round(medians[ALSO_MISSING] - medians[MISSING], 1),
        }
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and says whether the targets were met."""
    options = parser("whether time tells a hidden channel from none")
    options.add_argument("--engine", choices=ENGINES, help="default: the faster one that was fetched")
    asked = options.parse_args(arguments)
    engine = asked.engine or (MINISTACK if asked.tiny else default_engine())
    with running(engine) as client:
        settings = Settings(rate_per_second=1000, rate_burst=1000)
        each = measure(compose(settings, store_on(client)), 2 if asked.tiny else ROUNDS)
    targets = {
        "every request is answered 404": all(one["statuses"] == [404] for one in each.values()),
        f"medians at most {MOST_APART:g} us apart": all(
            abs(one["apart"]) <= MOST_APART for one in each.values()
        ),
    }
    rows = [
        (name, *one["microseconds"].values(), f"{one['apart']:+}", f"{one['noise']:+}")
        for name, one in each.items()
    ]
    text = table(("us, medians", HIDDEN, MISSING, ALSO_MISSING, "apart", "noise"), rows)
    return finish(asked, {"bench": "hidden", "engine": engine, "requests": each}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
