"""A page from memory, from API Gateway's event to the answer: a part of ``bench.hot_path``.

The storage and the cache take no time here: one is in memory, the other has the page. What is left is what Budgie adds.
It is held against the floor, a FastAPI route under Mangum that returns the same bytes and does nothing, and against the
same endpoint over other people's caches (``bench.peers``). All in one process, in turns; medians.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Response
from mangum import Mangum

from bench import peers
from bench.conversations import CHANNEL
from bench.one_page import PAGE, USER, Scene, event, scene
from bench.report import interleaved, summary, table
from functions.fetch_messages.handler import app as our_app
from shared.cache.encoded import page_json
from shared.meter import start_meter
from shared.services import Services
from shared.telemetry import directive, logger
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.web.app import Use, create_app, create_handler, current_services
from shared.web.conditional import IfNoneMatch
from shared.web.gateway import Handler
from shared.web.identity import Caller
from shared.web.queries import FetchMessagesQuery
from shared.web.respond import answer, page_answer
from shared.web.schemas import ChannelId

OURS, FLOOR = "budgie", "floor"
MAX_OF_FLOOR: Final = 2.0
TIMES_FASTER: Final = 3.0
Call = Callable[[], object]


def ours(made: Scene) -> Mangum:
    """The function as it is deployed, over the scene's services."""

    async def current() -> Services:
        return made.services

    our_app.dependency_overrides[current_services] = current
    return create_handler(our_app)


def constant(app: FastAPI, body: bytes) -> FastAPI:
    """With a route that returns these bytes."""

    @app.get(peers.PATH)
    async def fetch_messages() -> Response:
        return Response(body, media_type="application/json")

    return app


def floor(body: bytes) -> Mangum:
    """FastAPI under Mangum, as anybody has them, returning these bytes; no middleware."""
    return Mangum(constant(FastAPI(openapi_url=None, redirect_slashes=False), body), lifespan="off")


def unobserved(app: FastAPI) -> Handler:
    """One of our apps with nothing around its routes."""
    app.middleware_stack = app.router
    return Handler(app, lifespan="off")


def parameters(made: Scene) -> Mangum:
    """Our route with all that it declares, returning constant bytes: everything but the use case."""
    app = create_app("bench")

    async def current() -> Services:
        return made.services

    @app.get(peers.PATH)
    async def fetch_messages(
        services: Use,  # noqa: ARG001 - declared as in the function
        caller: Caller,  # noqa: ARG001 - as above
        channel_id: ChannelId,  # noqa: ARG001 - as above
        query: Annotated[FetchMessagesQuery, Query()],
        if_none_match: IfNoneMatch = None,  # noqa: ARG001 - as above
    ) -> Response:
        query.window()
        return answer(made.body)

    app.dependency_overrides[current_services] = current
    return create_handler(app)


def bare(body: bytes) -> Handler:
    """Our handler around nothing: what the event and the answer cost."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return Handler(app, lifespan="off")  # type: ignore[arg-type]  # any ASGI app will do


def contenders(made: Scene) -> dict[str, Call]:
    """Ours, the floor and the peers, each seen to give the same page."""
    found = {OURS: ours(made), FLOOR: floor(made.body)} | dict(peers.handlers(made.store))
    called = event()
    for name, handler in found.items():
        given = handler(called, None)  # type: ignore[arg-type]  # no function of ours looks at the context
        assert given["statusCode"] == HTTPStatus.OK, name
        assert _same(given["body"], made.body), name
    return {name: _call(handler, called) for name, handler in found.items()}


def _same(given: str, body: bytes) -> bool:
    page = json.loads(given)
    for message in page["messages"]:
        for field in ("client_message_id", "metadata"):
            if message.get(field, "") is None:
                del message[field]
    return bool(page == json.loads(body))


def _call(handler: Mangum, called: dict[str, Any]) -> Call:
    return lambda: handler(called, None)  # type: ignore[arg-type]  # as above


def layers(made: Scene) -> dict[str, Call]:
    """Each does what the one before does, and something more; the first three know of no query parameter."""
    called = event()
    bare_called = called | {"rawQueryString": ""}
    plain, logged = constant(create_app("bench"), made.body), constant(create_app("bench"), made.body)
    return {
        "event and answer": checked(bare(made.body), bare_called),
        "FastAPI: routing, response": checked(unobserved(plain), bare_called),
        "log line, headers, meter": checked(create_handler(logged), bare_called),
        "parameters, identity": checked(parameters(made), called),
        "the use case": checked(ours(made), called),
    }


def checked(handler: Mangum, called: dict[str, Any]) -> Call:
    """The call, seen to be granted: a refusal takes another time."""
    given = handler(called, None)  # type: ignore[arg-type]  # no function of ours looks at the context
    assert given["statusCode"] < HTTPStatus.BAD_REQUEST, given
    return _call(handler, called)


def parts(made: Scene) -> dict[str, Call]:
    """What the use case and the middleware consist of, alone."""
    services, meter = made.services, start_meter()
    look = services.store.look(CHANNEL, USER)
    assert look.head
    head = look.head
    span = services.reader.read(head, 1, PAGE)
    page = fetch_messages(services, USER, CHANNEL, Window(PAGE), frozenset())
    counts: dict[str, float] = {"Latency": 1.5, "CacheReads": 1, "CacheHits": 1}
    fields: dict[str, Any] = dict.fromkeys(
        ("function", "route", "channel", "user", "tier", "request_id"), "x" * 20
    )
    fields |= dict.fromkeys(("status", "ms", "cold", "read_units", "calls", "redis_commands"), 1) | counts
    return {
        "look (storage in memory)": lambda: services.store.look(CHANNEL, USER),
        "cache: page of 50": lambda: services.reader.read(head, 1, PAGE),
        "page joined": lambda: page_json(head, span, has_more_after=False),
        "vouched remembered": lambda: services.cache.vouched.remember(CHANNEL, USER, look, services.now()),
        "response": lambda: page_answer(page),
        "log line": lambda: logger().info("request", fields=fields, directive=directive(counts)),
        "Server-Timing": lambda: meter.server_timing(1.0),
    }


def measured(rounds: int, batch: int) -> dict[str, Any]:
    """Ours, the floor and the peers; what each layer adds; the parts alone."""
    made = scene()
    times = {name: summary(each) for name, each in interleaved(contenders(made), rounds, batch).items()}
    steps = _medians(interleaved(layers(made), rounds, batch))
    pieces = _medians(interleaved(parts(made), rounds, batch))
    return _results(made, times, steps, pieces)


def _medians(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(statistics.median(each), 1) for name, each in times.items()}


def _results(
    made: Scene, times: dict[str, dict[str, float]], steps: dict[str, float], pieces: dict[str, float]
) -> dict[str, Any]:
    rivals = {name: each["p50"] for name, each in times.items() if name not in {OURS, FLOOR}}
    same = {name: each for name, each in rivals.items() if not name.endswith(peers.BARE)}
    fastest = min(same, key=lambda name: same[name], default=None)
    return {
        "page_bytes": len(made.body),
        "microseconds": times,
        "of_floor": round(times[OURS]["p50"] / times[FLOOR]["p50"], 2),
        "times_faster_than": {name: round(each / times[OURS]["p50"], 2) for name, each in rivals.items()},
        "fastest_peer": fastest,
        "missing_peers": peers.missing(),
        "layers": steps,
        "parts": pieces,
    }


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """What a page from memory may take beside the floor and the peers."""
    fastest = results["fastest_peer"]
    reached = fastest is not None and results["times_faster_than"][fastest] >= TIMES_FASTER
    return {
        f"at most {MAX_OF_FLOOR} times the floor": results["of_floor"] <= MAX_OF_FLOOR,
        f"at least {TIMES_FASTER:g} times as fast as the fastest peer": reached
        and not results["missing_peers"],
    }


def text(results: dict[str, Any]) -> str:
    """Tables for a person."""
    faster, floor = results["times_faster_than"], results["microseconds"][FLOOR]["p50"]
    rows = [
        (name, each["p50"], each["p99"], f"{each['p50'] / floor:.2f}", faster.get(name, ""))
        for name, each in results["microseconds"].items()
    ]
    steps = list(results["layers"].items())
    costs = [
        (name, round(each - before, 1))
        for (name, each), (_, before) in zip(steps, [("", 0.0), *steps], strict=False)
    ]
    lines = [
        f"A page of {PAGE} messages, {results['page_bytes']:,} bytes of JSON, from memory",
        table(("", "p50 us", "p99 us", "of floor", "Budgie is faster"), rows),
        "\nWhat each layer adds",
        table(("", "us"), costs),
        "\nIts parts, each alone",
        table(("", "us"), list(results["parts"].items())),
    ]
    if results["missing_peers"]:
        lines.append(f"\nnot installed: {', '.join(results['missing_peers'])} (make bench-setup)")
    return "\n".join(lines)
