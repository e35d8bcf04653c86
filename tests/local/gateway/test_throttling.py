"""Requests are refused before a function runs, as AWS does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from local.gateway.http_api import Gateway
from local.gateway.throttling import Buckets, Concurrency
from local.template.load import Throttle, load
from tests.local.probe_project import KEYS, Project, probe_project

TEMPLATE = Path(__file__).resolve().parents[3] / "template.yaml"


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """As ``time.monotonic``."""
        return self.now


def test_a_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    """It is full at first, fills at its rate, and never exceeds the burst."""
    clock = Clock()
    buckets = Buckets(Throttle(2, 3), clock)
    assert [buckets.admits("a") for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [buckets.admits("a") for _ in range(2)] == [True, False]
    clock.now += 60
    assert [buckets.admits("a") for _ in range(4)] == [True, True, True, False]


def test_each_route_has_a_bucket_of_its_own() -> None:
    """A busy route takes nothing from the others."""
    buckets = Buckets(Throttle(1, 1), Clock())
    assert [buckets.admits(route) for route in ("a", "a", "b")] == [True, False, True]


def test_without_settings_nothing_is_throttled() -> None:
    """Without limits in the template everything passes."""
    assert all(Buckets(None).admits("a") for _ in range(10_000))


def test_concurrency_is_given_back() -> None:
    """Room is freed even after an error; a limit of 0 is none."""
    limit = Concurrency(1)
    with limit.one() as first, limit.one() as second:
        assert (first, second) == (True, False)
    with pytest.raises(KeyError), limit.one():
        raise KeyError
    with limit.one() as again:
        assert again
    with Concurrency(0).one() as unlimited:
        assert unlimited


def test_the_templates_own_throttling_is_read() -> None:
    """The parameters' defaults, and their overrides."""
    assert load(TEMPLATE).throttle == Throttle(100, 200)
    assert load(TEMPLATE, {"ThrottleRate": "7", "ThrottleBurst": "9"}).throttle == Throttle(7, 9)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with handlers."""
    with probe_project(tmp_path) as made:
        yield made


def throttled(project: Project) -> Gateway:
    """A gateway that takes two requests to a route."""
    template = replace(load(project.root / "template.yaml"), throttle=Throttle(0.001, 2))
    return project.gateway(template=template)


@pytest.mark.stack
def test_too_many_requests_are_refused_as_api_gateway_refuses_them(project: Project) -> None:
    """429 with its message and without Retry-After, for every caller; other routes are not affected."""
    with throttled(project) as gateway, httpx.Client(base_url=gateway.url) as client:
        token = {"Authorization": f"Bearer {KEYS.issue('ada')}"}
        assert [client.get("/closed", headers=token).status_code for _ in range(3)] == [200, 200, 429]
        refused = client.get("/closed")
        assert (refused.status_code, refused.json()) == (429, {"message": "Too Many Requests"})
        assert "retry-after" not in refused.headers
        assert client.get("/open/1").status_code == 200


def until_served(client: httpx.Client) -> None:
    """A call of a second and a half that eventually finds room."""
    while client.get("/slower?s=1.5").status_code != 200:
        pass


@pytest.mark.stack
def test_more_functions_than_may_run_at_once_are_refused(project: Project) -> None:
    """503 at once, as an HTTP API returns Lambda's throttling; later there is room again."""
    with project.gateway(concurrency=1) as gateway, httpx.Client(base_url=gateway.url, timeout=20) as client:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(until_served, client)
            refused = client.get("/open/1")
            while refused.status_code != 503:
                assert not first.done()
                refused = client.get("/open/1")
            first.result()
        assert refused.json() == {"message": "Service Unavailable"}
        assert client.get("/open/1").status_code == 200
