"""Routes over a DynamoDB engine: a part of ``bench.hot_path``.

Posting and listing beside the raw calls that they make (``bench.hot_raw``), in turns on the same engine; then every
route, with how long the storage's calls were under way. DynamoDB Local where it is fetched, else ministack.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench.hot_raw import Raw
from bench.hot_routes import handler_of
from bench.hot_spans import Spans, Work
from bench.hot_world import KEYED, LIST, LISTED, POST, Case, World, generous
from bench.report import interleaved, summary, table
from local import dynamodb, dynamodb_local
from local.dynamodb import CREDENTIALS, DYNAMODB_LOCAL, INSTALLED, MINISTACK, REGION
from local.processes import Processes
from local.template import load
from shared.aws.connect import dynamodb_client
from shared.services import Services, compose
from shared.settings import Settings
from shared.store.dynamodb import DynamoDBStore

TABLE: Final = "budgie-hot-path"
TEMPLATE: Final = Path(__file__).resolve().parent.parent / "template.yaml"
MAX_OF_FLOOR: Final = {POST: 2.5, KEYED: 2.5, LIST: 2.0}
FLOOR: Final = "floor of "
FEW: Final = 3
ALL_ROUTES: Final = 10
"""Rounds of every route: enough to see what calls it makes and about what they take."""


def measured(rounds: int, *, tiny: bool) -> dict[str, Any]:
    """Posting and listing against their floors, and every route.

    Args:
        rounds: of each that is held against a floor.
        tiny: over ministack and few rounds, to see that it works.
    """
    kind = DYNAMODB_LOCAL if not tiny and dynamodb_local.is_fetched(INSTALLED / DYNAMODB_LOCAL) else MINISTACK
    each_route, listed = (1, FEW) if tiny else (ALL_ROUTES, LISTED)
    with _engine(kind) as url:
        services = _services(url)
        cases = World(services.store, fresh=2 * each_route + 2, listed=listed).cases()
        raw = Raw(url, TABLE, listed)
        try:
            against = _against_floors(cases, services, raw, rounds)
        finally:
            raw.close()
        routes = {name: _route(case, services, each_route) for name, case in cases.items()}
    return {"engine": kind, "listed": listed, **against, "routes": routes}


@contextlib.contextmanager
def _engine(kind: str) -> Iterator[str]:
    """An engine with the table, and credentials for it in the environment while it runs."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as directory, Processes(Path(directory)) as processes:
        url = dynamodb.start_engine(kind, Path(directory), processes)
        template = load(TEMPLATE, {"JwtIssuer": "https://issuer.example.com"})
        dynamodb.set_up(url, CREDENTIALS, TABLE, template)
        os.environ.update(CREDENTIALS, AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION)
        try:
            yield url
        finally:
            os.environ.clear()
            os.environ.update(before)


def _services(url: str) -> Services:
    settings = replace(
        Settings(), dynamodb_endpoint_url=url, table_name=TABLE, dynamodb_read_timeout_ms=20_000
    )
    return generous(compose(settings, DynamoDBStore(dynamodb_client(settings), TABLE)))


def _against_floors(cases: Mapping[str, Case], services: Services, raw: Raw, rounds: int) -> dict[str, Any]:
    floors: dict[str, Callable[[], object]] = {
        POST: lambda: raw.post(keyed=False),
        KEYED: lambda: raw.post(keyed=True),
        LIST: raw.list,
    }
    calls: dict[str, Callable[[], object]] = {}
    for name, floor in floors.items():
        calls[name] = _calling(cases[name], services)
        calls[FLOOR + name] = floor
    times = {name: summary(each) for name, each in interleaved(calls, rounds).items()}
    return {
        "microseconds": times,
        "of_floor": {name: round(times[name]["p50"] / times[FLOOR + name]["p50"], 2) for name in floors},
    }


def _calling(case: Case, services: Services) -> Callable[[], object]:
    """The whole handler; an answer that is no success ends the run, as its time would say nothing."""
    handler = handler_of(case, services)

    def call() -> None:
        result = handler(case.event(), None)  # type: ignore[arg-type]  # no function of ours looks at the context
        if not result["statusCode"] < 300:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"answered {result['statusCode']}: {result['body']}")

    return call


def _route(case: Case, services: Services, rounds: int) -> dict[str, float]:
    """Medians: all of it, what the storage's calls took of it, and their number."""
    spans = Spans()
    call, done = _calling(case, spans.over(services)), list[Work]()

    def once() -> None:
        call()
        done.append(spans.take())

    whole = statistics.median(interleaved({"": once}, rounds)[""])
    work = done[-rounds:]  # without the warm-up
    storage = statistics.median(each.storage for each in work)
    return {
        "all": round(whole, 1),
        "storage": round(storage, 1),
        "ours": round(whole - storage, 1),
        "storage_calls": statistics.median(each.calls for each in work),
    }


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """What posting and listing may take beside the calls that they make."""
    return {
        f"{name}: at most {most} times the floor of its calls": results["of_floor"][name] <= most
        for name, most in MAX_OF_FLOOR.items()
    }


def text(results: dict[str, Any]) -> str:
    """Tables for a person."""
    beside = [
        (name, results["microseconds"][name]["p50"], results["microseconds"][FLOOR + name]["p50"], ratio)
        for name, ratio in results["of_floor"].items()
    ]
    routes = [(name, *each.values()) for name, each in results["routes"].items()]
    return "\n".join(
        [
            f"Beside their raw calls, on {results['engine']}, lists of {results['listed']} channels",
            table(("", "p50 us", "floor us", "of floor"), beside),
            "\nEvery route over the engine",
            table(("", "p50 us", "storage us", "ours us", "storage calls"), routes),
        ]
    )
