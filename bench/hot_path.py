"""Every route, from API Gateway's event to the answer: ``python -m bench.hot_path [--json] [--check]``.

Four parts, each in turns within one run, medians:

- a page from memory beside the floor, a FastAPI route under Mangum that returns the same bytes and does nothing, and
  beside the same endpoint over other people's caches (``bench.baseline.caches``);
- that page on the wire: bytes, microseconds with writing the function's result as JSON, as Lambda's runtime does, and
  dollars, as it is and in each coding; ``anew`` joins and compresses it for its first reader;
- every route by section, its storage in memory. Sections are differences of layers, each of which does what the one
  before does and something more, so one may come out a little below nothing;
- every route over an engine, posting and listing beside the raw calls that they make (``bench.baseline.raw_calls``).
  DynamoDB Local where it is fetched, else ministack.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import botocore.session
from botocore import xform_name
from botocore.client import BaseClient
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match

from bench.baseline import caches
from bench.baseline.raw_calls import RawCalls
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import bodies
from bench.lib.dynamodb import TABLE, client_of, engine, store_on
from bench.lib.functions import Ask, Event, Handler, Handlers, Reply, event, handler_of, routed
from bench.lib.operations import (
    LIST,
    MANY,
    OPERATIONS,
    POST,
    POST_WITH_KEY,
    SETTINGS,
    USER,
    Operation,
    Scene,
    channel,
    fill,
    fill_chat,
)
from bench.lib.spans import Spans, Work
from bench.lib.timing import Prepared, Timed, interleaved, medians, summary
from local.dynamodb.engine import CREDENTIALS, MINISTACK, REGION, default_engine
from operators import prices
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.cache.pages import encoded_key
from shared.runtime.codings import GZIP, LEVELS, ZSTD, encode
from shared.storage.memory import MemoryStore
from shared.web.adapter import Handler as Adapter
from shared.web.app import create_app, create_handler
from shared.web.responses import json_response

ROUNDS, BATCH = 80, 25
OURS, FLOOR, IDENTITY, ANEW = "budgie", "floor", "identity", ", anew"
MAX_OF_FLOOR: Final = 2.0
TIMES_FASTER: Final = 3.0
MAX_OF_CALLS: Final = {POST: 2.5, POST_WITH_KEY: 2.5, LIST: 2.0}
MAX_SHARE: Final = 0.36
PAGE: Final = 50
CHANNEL: Final = channel("page")
PAGE_ASK: Final = Ask("GET", f"/v1/channels/{CHANNEL}/messages?limit={PAGE}", USER)
WAYS: Final = (IDENTITY, GZIP, ZSTD, GZIP + ANEW, ZSTD + ANEW)
JUDGED, ORDINARY = "50 x 1 KB", "50 x 0.2 to 1 KB"
PAGES: Final = {JUDGED: (960,), ORDINARY: tuple(range(200, 1_001, 50))}
"""The bytes that a message's JSON has at least, in turn."""
LEVELS_TRIED: Final = {ZSTD: (1, 3, 5, 6, 7, 9, 12), GZIP: (1, 4, 5, 6, 9)}
SIZES_TRIED: Final = (350, 700, 1_050, 1_400, 2_100, 2_800, 5_600)
MEMORY_MB, VCPU_MB = 512, 1_769
"""Of a function, and Lambda's memory that comes with one processor: a second of work takes 1,769 / 512 seconds."""
SECTIONS: Final = ("mangum", "fastapi", "log", "storage", "cache", "use_case")
ALL_ROUTES: Final = 10
"""Rounds of every route over an engine: enough to see what calls it makes and about what they take."""
Result = dict[str, Any]


# --- A page from memory ---


class Page:
    """A channel of one page that is in memory, and the function that serves it."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.store = MemoryStore()
        fill(self.store, CHANNEL, [USER], bodies(PAGE, sizes, channel_id=CHANNEL))
        self.handlers = Handlers(compose(SETTINGS, self.store))
        self.body = self.handlers(PAGE_ASK).body

    def result(self, way: str) -> Callable[[], Result]:
        """What makes the function's result in one of ``WAYS``."""
        coding = way.removesuffix(ANEW)
        function, called = routed(Ask("GET", PAGE_ASK.target, USER, headers={"accept-encoding": coding}))
        memory, key = self.handlers.services.memory, encoded_key(CHANNEL, 1, PAGE, coding)

        def call() -> Result:
            if way != coding:
                memory.forget(key)
            return self.handlers.invoke(function, called)

        return call


def contenders(page: Page) -> dict[str, Timed]:
    """Ours, the floor and the peers, each seen to give the same page."""
    floor = constant(FastAPI(openapi_url=None, redirect_slashes=False), caches.PATH, page.body)
    found: dict[str, Handler] = {
        OURS: handler_of(page.handlers.apps[routed(PAGE_ASK)[0]], lambda: page.handlers.services)
    }
    found |= {FLOOR: caches.mangum(floor), **dict(caches.handlers(page.store))}
    for name, handler in found.items():
        given = json.loads(checked(handler, event(PAGE_ASK))()["body"])
        for message in given["messages"]:
            for optional in ("client_message_id", "metadata"):
                if message.get(optional, "") is None:
                    del message[optional]
        assert given == json.loads(page.body), name
    return {name: checked(handler, event(PAGE_ASK)) for name, handler in found.items()}


def checked(handler: Handler, called: Event) -> Callable[[], Result]:
    """The call, seen to be granted: a refusal takes another time."""
    given = handler(called, None)
    assert given["statusCode"] < HTTPStatus.BAD_REQUEST, given
    return lambda: handler(called, None)


def from_memory(page: Page, rounds: int, batch: int) -> Result:
    """Ours beside the floor and the peers."""
    times = {name: summary(each) for name, each in interleaved(contenders(page), rounds, batch).items()}
    rivals = {name: each["p50"] for name, each in times.items() if name not in {OURS, FLOOR}}
    same = [name for name in rivals if not name.endswith(caches.BARE)]
    return {
        "page_bytes": len(page.body),
        "of_floor": round(times[OURS]["p50"] / times[FLOOR]["p50"], 2),
        "fastest_peer": min(same, key=rivals.__getitem__, default=None),
        "missing_peers": caches.missing(),
        "microseconds": times,
        "times_faster_than": {name: round(each / times[OURS]["p50"], 2) for name, each in rivals.items()},
    }


# --- On the wire ---


def wire(rounds: int, batch: int) -> Result:
    """Each page in every way; every level alone, compressed anew each time; and small answers."""
    # One after the other: a function serves the page that was made last.
    ways = {name: _ways(Page(sizes), rounds, batch) for name, sizes in PAGES.items()}
    judged = Page(PAGES[JUDGED]).body
    calls: dict[str, Callable[[], bytes]] = {
        f"{coding}-{level}": functools.partial(encode, judged, coding, level)
        for coding, levels in LEVELS_TRIED.items()
        for level in levels
    }
    times = medians(interleaved(calls, max(2, rounds // 4)))
    return {
        "pages": ways,
        "levels": {name: _weighed(len(call()), len(judged), times[name]) for name, call in calls.items()},
        "small": {str(length): _small(judged[:length], rounds) for length in SIZES_TRIED},
        "setting": dict(LEVELS),
    }


def _ways(page: Page, rounds: int, batch: int) -> Result:
    results = {way: page.result(way) for way in WAYS}
    sent = {way: len(Reply.of(call()).body) for way, call in results.items()}
    calls = {way: functools.partial(_as_lambda_does, call) for way, call in results.items()}
    times = medians(interleaved(calls, rounds, batch))
    return {way: _weighed(sent[way], sent[IDENTITY], times[way]) for way in WAYS}


def _as_lambda_does(result: Callable[[], Result]) -> bytes:
    return json.dumps(result(), ensure_ascii=False).encode()


def _weighed(length: int, whole: int, us: float) -> dict[str, float]:
    return {"bytes": length, "share": round(length / whole, 4), "us": us, **_dollars(length, us)}


def _dollars(length: int, us: float) -> dict[str, float]:
    """A million of them: what leaves, and a function of 512 MB for as long as this takes."""
    egress = length * prices.MILLION / 1e9 * prices.EGRESS_GB
    compute = us * VCPU_MB / MEMORY_MB * MEMORY_MB / 1_024 * prices.LAMBDA_GB_SECOND
    return {"egress": round(egress, 4), "lambda": round(compute, 4), "dollars": round(egress + compute, 4)}


def _small(part: bytes, rounds: int) -> dict[str, float]:
    """Bytes that zstd saves around the size that is left alone, and what that is worth beside its time."""
    us = medians(interleaved({ZSTD: lambda: encode(part, ZSTD, LEVELS[ZSTD])}, rounds))[ZSTD]
    saved = len(part) - len(encode(part, ZSTD))
    worth = _dollars(saved, us)
    return {"saved": saved, "us": us, "dollars_saved": round(worth["egress"] - worth["lambda"], 4)}


# --- Every route by section ---


def warm() -> list[Operation]:
    """What a warm container is asked: all but what must find nothing in memory."""
    return [each for each in OPERATIONS if not each.is_missed]


def constant(app: FastAPI, path: str, body: bytes, method: str = "GET") -> FastAPI:
    """With a route that returns these bytes."""

    async def constant() -> Response:
        return Response(body, media_type="application/json")

    app.add_api_route(path, constant, methods=[method])
    return app


def unobserved(app: FastAPI) -> Handler:
    """One of our apps with nothing around its routes."""
    app.middleware_stack = app.router
    return Adapter(app, lifespan="off")


def bare(body: bytes) -> Handler:
    """Our handler around nothing: what the event and the answer cost."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return Adapter(app, lifespan="off")  # type: ignore[arg-type]  # any ASGI app will do


def declared(route: APIRoute, services: Services, body: bytes) -> Handler:
    """Our route with all that it declares, returning these bytes: everything but the use case."""

    @functools.wraps(route.endpoint)  # its parameters are read off it
    async def constant(**_: Any) -> Response:  # noqa: ANN401 - whatever the route declares
        return json_response(body)

    app = create_app("bench")
    app.add_api_route(route.path, constant, methods=list(route.methods or ()), response_model=None)
    return handler_of(app, lambda: services)


def by_section(rounds: int, batch: int) -> dict[str, dict[str, float]]:
    """Microseconds of each request, in all and by section; the storage in memory takes next to no time."""
    store = MemoryStore()
    fill_chat(store, members=MANY, length=PAGE)
    scene = Scene(Handlers(compose(SETTINGS, store)), store)
    return {
        each.name: _sections(each, scene, rounds, batch) for each in progress(warm(), "routes by section")
    }


def _sections(each: Operation, scene: Scene, rounds: int, batch: int) -> dict[str, float]:
    handlers, spans, work = scene.handlers, Spans(), list[Work]()
    asked = each.ready(scene)
    function, called = handlers.event(asked)
    body, route = handlers(asked).body, _route_of(handlers.apps[function], called)
    plain, spanned = handlers.services, spans.over(handlers.services)
    nothing = called | {"rawQueryString": ""}  # Those that declare nothing would refuse a query.
    method = next(iter(route.methods or {"GET"}))

    def invoke(ready: tuple[str, Event]) -> None:
        handlers.invoke(*ready)

    def timed(ready: tuple[str, Event]) -> None:
        handlers.services = spanned
        spans.take()
        handlers.invoke(*ready)
        work.append(spans.take())
        handlers.services = plain

    def ready() -> tuple[str, Event]:
        return handlers.event(each.ready(scene))

    layers: dict[str, Timed] = {
        "mangum": checked(bare(body), nothing),
        "constant": checked(unobserved(constant(create_app("bench"), route.path, body, method)), nothing),
        "logged": checked(create_handler(constant(create_app("bench"), route.path, body, method)), nothing),
        "declared": checked(declared(route, plain, body), called),
        "whole": Prepared(ready, invoke),
        "timed": Prepared(ready, timed),
    }
    times = medians(interleaved(layers, rounds, batch), digits=3)
    storage, cache = (statistics.median(getattr(one, part) for one in work) for part in ("storage", "cache"))
    sections = {
        "mangum": times["mangum"],
        "fastapi": times["constant"] - times["mangum"] + times["declared"] - times["logged"],
        "log": times["logged"] - times["constant"],
        "storage": storage,
        "cache": cache,
        "use_case": times["whole"] - times["declared"] - storage - cache,
    }
    return {"all": round(times["whole"], 1)} | {name: round(us, 1) for name, us in sections.items()}


def _route_of(app: FastAPI, called: Event) -> APIRoute:
    http = called["requestContext"]["http"]
    scope = {"type": "http", "method": http["method"], "aws.event": called}
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    return next(
        each for each in routes if isinstance(each, APIRoute) and each.matches(scope)[0] == Match.FULL
    )


# --- Every route over an engine ---


def over_engine(rounds: int, *, tiny: bool) -> Result:
    """Posting and listing against the raw calls that they make; then every route, and what its storage's calls take."""
    kind, each_route, listed = (MINISTACK, 1, 4) if tiny else (default_engine(), ALL_ROUTES, MANY)
    with engine(kind) as started, contextlib.closing(client_of(started.url)) as client:
        store = store_on(client)
        fill_chat(store, members=listed, length=PAGE, listed=listed)
        scene = Scene(Handlers(compose(SETTINGS, store)), store)
        with _raw(started.url) as botocores:
            own = [channel(f"raw {number}") for number in range(listed)]
            for each in own:
                fill(store, each, ["raw"], [])
            against = _against_floors(scene, RawCalls(botocores, TABLE, own[0], "raw"), rounds)
        routes = {
            each.name: _route(each, scene, each_route) for each in progress(warm(), f"routes on {kind}")
        }
    return {"engine": kind, "listed": listed, **against, "routes": routes}


class Botocores:
    """A client of botocore's by AWS's names, without the checks of ``shared.aws.botocore_client``: a floor has none."""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Botocore's answer."""
        answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**arguments)
        return answer

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


@contextlib.contextmanager
def _raw(url: str) -> Iterator[AwsClient]:
    """A plain client of botocore's, as little as one can have."""
    key, secret = CREDENTIALS.values()
    create: Any = botocore.session.get_session().create_client
    client = create(
        "dynamodb", endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
    )
    with contextlib.closing(Botocores(client)) as made:
        yield made


def _against_floors(scene: Scene, raw: RawCalls, rounds: int) -> Result:
    numbers = iter(range(10**9))
    floors: dict[str, Callable[[], object]] = {
        POST: lambda: raw.post("x" * 100),
        POST_WITH_KEY: lambda: raw.post("x" * 100, f"key-{next(numbers)}"),
        LIST: raw.list,
    }
    calls: dict[str, Timed] = {}
    for each in (each for each in OPERATIONS if each.name in floors):
        calls |= {each.name: _prepared(each, scene), f"floor of {each.name}": floors[each.name]}
    times = {name: summary(each) for name, each in interleaved(calls, rounds).items()}
    ratios = {name: round(times[name]["p50"] / times[f"floor of {name}"]["p50"], 2) for name in floors}
    return {"microseconds": times, "of_floor": ratios}


def _prepared(each: Operation, scene: Scene, after: Callable[[], None] = lambda: None) -> Prepared:
    """The whole handler; an answer that is no success ends the run, as its time would say nothing."""

    def ready() -> tuple[str, Event]:
        made = scene.handlers.event(each.ready(scene))
        after()
        return made

    def call(made: tuple[str, Event]) -> None:
        result = scene.handlers.invoke(*made)
        assert result["statusCode"] < HTTPStatus.BAD_REQUEST, result

    return Prepared(ready, call)


def _route(each: Operation, scene: Scene, rounds: int) -> dict[str, float]:
    """Medians: all of it, what the storage's calls took of it, and their number."""
    spans, work, plain = Spans(), list[Work](), scene.handlers.services
    scene.handlers.services = spans.over(plain)
    prepared = _prepared(each, scene, after=lambda: (spans.take(), None)[1])

    def call(made: tuple[str, Event]) -> None:
        prepared.call(made)
        work.append(spans.take())

    whole = medians(interleaved({"": Prepared(prepared.ready, call)}, rounds))[""]
    scene.handlers.services = plain
    storage = statistics.median(one.storage for one in work[-rounds:])
    calls = statistics.median(one.calls for one in work[-rounds:])
    return {
        "all": whole,
        "storage": round(storage, 1),
        "ours": round(whole - storage, 1),
        "storage_calls": calls,
    }


# --- Targets ---


def targets(results: Result) -> dict[str, bool]:
    """What a page, its codings, posting and listing must show."""
    fastest, page = results["fastest_peer"], results["wire"]["pages"][JUDGED]
    faster = fastest is not None and results["times_faster_than"][fastest] >= TIMES_FASTER
    plain = page[IDENTITY]["us"]
    shown = {
        f"at most {MAX_OF_FLOOR} times the floor": results["of_floor"] <= MAX_OF_FLOOR,
        f"at least {TIMES_FASTER:g} times as fast as the fastest peer": faster
        and not results["missing_peers"],
    }
    for each in (ZSTD, GZIP):
        shown[f"{each}: a page leaves in at most 36% of its bytes"] = page[each]["share"] <= MAX_SHARE
        shown[f"{each}: on a memory hit in at most the time of plain JSON"] = page[each]["us"] <= plain
    ratios = results["calls"]["of_floor"]
    return shown | {
        f"{name}: at most {most} times the floor of its calls": ratios[name] <= most
        for name, most in MAX_OF_CALLS.items()
    }


def main() -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args()
    rounds, batch = (2, 2) if options.tiny else (ROUNDS, BATCH)
    # Log lines go where writing costs what a pipe costs and nobody reads them.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        results = from_memory(Page(PAGES[ORDINARY]), rounds, batch)
        results["wire"] = wire(rounds, batch)
        results["routes"] = by_section(max(2, rounds // 4), max(2, batch // 2))
        results["calls"] = over_engine(rounds, tiny=options.tiny)
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
