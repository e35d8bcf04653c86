"""Fixtures for tests of the local stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.upstash.endpoint import UpstashEndpoint
from tests.endpoint import opened_endpoint


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashEndpoint]:
    """A running Upstash endpoint with its own Redis server."""
    with opened_endpoint(tmp_path_factory.mktemp("valkey")) as running:
        yield running
