"""Every route by section: a part of ``bench.hot_path``.

The storage is in memory and takes next to no time, so what is left is what Budgie adds. Sections are differences of
layers, each of which does what the one before does and something more; the use case is run alone too, with its calls
of storage and cache timed. Differences of medians: a section may come out a little below nothing.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute, iter_route_contexts
from mangum import Mangum
from starlette.routing import Match

from bench.hot_page import bare, checked, unobserved
from bench.hot_spans import Spans, Work
from bench.hot_world import Case, Event, World, generous
from bench.report import interleaved, table
from shared.meter import start_meter
from shared.services import Services, compose
from shared.settings import Settings
from shared.store.memory import MemoryStore
from shared.web.app import create_app, create_handler, current_services
from shared.web.respond import answer

SECTIONS: Final = ("mangum", "fastapi", "log", "storage", "cache", "use_case", "answer")
HEADER: Final = ("us", "all", "Mangum", "FastAPI", "log line", "storage", "cache", "use case", "answer")
Call = Callable[[], object]


def measured(rounds: int, batch: int) -> dict[str, dict[str, float]]:
    """Microseconds of each request, in all and by section."""
    store = MemoryStore()
    # Of each request that uses something up: what events alone, the handler and two use cases take, and one to look at.
    world = World(store, fresh=4 * (rounds + max(1, rounds // 10)) * batch + 1)
    services = generous(compose(Settings(), store))
    return {name: _profile(case, services, rounds, batch) for name, case in world.cases().items()}


def handler_of(case: Case, services: Services) -> Mangum:
    """The function as it is deployed, over these services."""

    async def current() -> Services:
        return services

    case.app.dependency_overrides[current_services] = current
    return create_handler(case.app)


def _profile(case: Case, services: Services, rounds: int, batch: int) -> dict[str, float]:
    work: list[Work] = []
    times = {
        name: statistics.median(each)
        for name, each in interleaved(_layers(case, services, work), rounds, batch).items()
    }
    storage = statistics.median(each.storage for each in work)
    cache = statistics.median(each.cache for each in work)
    whole = times["whole"] - times["event"]
    sections = {
        "mangum": times["mangum"],
        "fastapi": times["constant"] - times["mangum"] + times["declared"] - times["logged"],
        "log": times["logged"] - times["constant"],
        "storage": storage,
        "cache": cache,
        "use_case": times["use case"] - storage - cache,
        "answer": whole - times["declared"] - times["use case"],
    }
    return {"all": round(whole, 1)} | {name: round(us, 1) for name, us in sections.items()}


def _layers(case: Case, services: Services, work: list[Work]) -> dict[str, Call]:
    """Mangum alone, FastAPI returning constant bytes, what observes it, all that the route declares, and all of it."""
    event = case.event()
    handler = handler_of(case, services)
    given = handler(event, None)  # type: ignore[arg-type]  # no function of ours looks at the context
    body, route, spans = str(given.get("body", "")).encode(), _route_of(case.app, event), Spans()
    plain = unobserved(_constant(create_app("bench"), route, body))
    logged = create_handler(_constant(create_app("bench"), route, body))
    declared = create_handler(_declared(route, services, body))
    timed = spans.over(services)

    def alone() -> None:
        start_meter()
        case.use(timed)
        work.append(spans.take())

    bare_event = event | {"rawQueryString": ""}  # Which those that declare nothing would refuse.
    return {
        "event": case.event,
        "mangum": checked(bare(body), bare_event),
        "constant": checked(plain, bare_event),
        "logged": checked(logged, bare_event),
        "declared": checked(declared, event),
        "use case": alone,
        "whole": _calling(handler, case.event),
    }


def _calling(handler: Mangum, event: Callable[[], Event]) -> Call:
    return lambda: handler(event(), None)  # type: ignore[arg-type]  # no function of ours looks at the context


def _route_of(app: FastAPI, event: Event) -> APIRoute:
    """The route that serves an event."""
    http = event["requestContext"]["http"]
    scope = {"type": "http", "method": http["method"], "aws.event": event}
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    return next(
        each for each in routes if isinstance(each, APIRoute) and each.matches(scope)[0] == Match.FULL
    )


def _constant(app: FastAPI, route: APIRoute, body: bytes) -> FastAPI:
    """With a route of this path that returns these bytes."""

    async def constant() -> Response:
        return Response(body, media_type="application/json")

    app.add_api_route(route.path, constant, methods=list(route.methods or ()))
    return app


def _declared(route: APIRoute, services: Services, body: bytes) -> FastAPI:
    """With the route and all that it declares, returning these bytes: everything but the use case."""

    @functools.wraps(route.endpoint)  # its parameters are read off it
    async def constant(**_: Any) -> Response:  # noqa: ANN401 - whatever the route declares
        return answer(body)

    async def current() -> Services:
        return services

    app = create_app("bench")
    app.add_api_route(route.path, constant, methods=list(route.methods or ()), response_model=None)
    app.dependency_overrides[current_services] = current
    return app


def text(results: dict[str, dict[str, float]]) -> str:
    """A table for a person."""
    rows = [(name, each["all"], *(each[section] for section in SECTIONS)) for name, each in results.items()]
    return f"Every route by section, the storage in memory\n{table(HEADER, rows)}"
