"""A gateway with handlers of its own, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.gateway.http_api import Gateway
from tests.local.probe_project import Project, probe_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with handlers."""
    with probe_project(tmp_path) as made:
        yield made


@pytest.fixture
def gateway(project: Project) -> Iterator[Gateway]:
    """A running gateway that waits one second for a function."""
    with project.gateway(integration_timeout=1.0) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    """A client of the gateway."""
    with httpx.Client(base_url=gateway.url, timeout=20) as opened:
        yield opened
