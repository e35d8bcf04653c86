"""The API in its three forms, for the one tour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from local.demo.client import Client
from local.dynamodb import engine as dynamodb
from local.processes import Processes
from local.template import load as template
from tests.api import Response
from tests.artifacts.emulator import ROOT, EmulatedApi
from tests.artifacts.parameters import parameter_store
from tests.decoding import decoded
from tests.e2e.running import running_stack
from tests.endpoint import TOKEN, opened_endpoint

TABLE: Final = "budgie-artifacts"
PARAMETER: Final = "/budgie/upstash-token"
GENEROUS: Final = {
    "REDIS_CONNECT_TIMEOUT_MS": "3000",
    "REDIS_READ_TIMEOUT_MS": "3000",
    "REDIS_WAIT_MS": "3000",
}
"""This machine may be busy; how a slow Redis is met is tested elsewhere."""


class GatewayApi:
    """The API behind the local gateway, as `make run` starts it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, method: str, path: str, **rest: Any) -> Response:
        """See `tour.Caller`."""
        query = urlencode(rest.pop("query", None) or {})
        user = rest.pop("user", "ada")
        response = self._client.call(method, f"{path}?{query}" if query else path, user, **rest)
        body = decoded(response.body, response.headers.get("content-encoding"))
        return Response(response.status, dict(response.headers), body.decode())


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayApi]:
    """The local stack."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack, stack.client() as client:
        yield GatewayApi(client)


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedApi]:
    """The built artifacts over engines of their own; their token is in Systems Manager."""
    directory = tmp_path_factory.mktemp("artifacts")
    loaded = template.load(
        ROOT / "template.yaml", {"Table": TABLE, "UpstashTokenParameter": PARAMETER} | template.WHOLE
    )
    with (
        opened_endpoint(directory / "valkey") as endpoint,
        parameter_store({PARAMETER: f"{TOKEN}\n"}) as (ssm, asked),
        Processes(directory) as processes,
    ):
        address = dynamodb.start_engine(dynamodb.MINISTACK, directory, processes)
        dynamodb.set_up(address, dynamodb.CREDENTIALS, TABLE, loaded)
        variables = GENEROUS | {
            "DYNAMODB_ENDPOINT_URL": address,
            "UPSTASH_REDIS_REST_URL": endpoint.url,
            "AWS_ENDPOINT_URL_SSM": ssm,
            "REALTIME_URL": "ws://127.0.0.1:1/realtime",
        }
        yield EmulatedApi(loaded, variables, processes, asked)


@pytest.fixture(scope="session")
def built() -> Path:
    """Where `make test-artifacts` has built the artifacts."""
    return ROOT / ".local/artifacts/build"
