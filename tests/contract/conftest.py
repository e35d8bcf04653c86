"""One engine of each kind a session; ``store`` is each storage in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.storage.protocol import Store
from tests.engines import ENGINE_STORES, STORES, Engines, opened_engines


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """The engines of this session, started when first used."""
    with opened_engines(tmp_path_factory.mktemp("engines")) as engines:
        yield engines


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, engines: Engines) -> Store:
    """A storage; tests use fresh channels and users, so that one table serves all of them."""
    return engines.store(request.param)


@pytest.fixture(params=ENGINE_STORES)
def engine_store(request: pytest.FixtureRequest, engines: Engines) -> Store:
    """As ``store``, each engine by one client: for tests of many calls."""
    return engines.store(request.param)
