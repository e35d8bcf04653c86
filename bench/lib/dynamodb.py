"""A DynamoDB engine for a benchmark: started with the template's table, filled quickly, and stopped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from local.dynamodb.engine import CREDENTIALS, REGION, Engine, client, ensure_table, launch_engine
from local.processes import Processes
from local.template.load import load
from shared.aws.connect import dynamodb_client
from shared.aws.protocol import AwsClient
from shared.settings import Settings
from shared.storage.dynamodb import DynamoDBStore

TABLE: Final = "budgie-bench"
TEMPLATE: Final = Path(__file__).resolve().parents[2] / "template.yaml"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory with a random name is made in it
"""Files in memory: DynamoDB Local waits for the disk at each write, DynamoDB does not."""
BATCH: Final = 25
"""Items of one BatchWriteItem: DynamoDB's limit."""
LOADERS: Final = 8


def fastest(memory: Path = MEMORY) -> Path | None:
    """The directory in memory if it can be written, else None for the default one."""
    return memory if os.access(memory, os.W_OK) else None


@contextmanager
def engine(kind: str) -> Iterator[Engine]:
    """Runs an engine of ``local.dynamodb.engine.ENGINES`` on 127.0.0.1 with an empty table and its own files."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=fastest())))
        started = launch_engine(kind, directory, stack.enter_context(Processes(directory)))
        started.wait_ready()
        with closing(client(started.url)) as admin:
            ensure_table(admin, TABLE, load(TEMPLATE, {"JwtIssuer": "https://issuer.example.com"}))
        yield started


def client_of(url: str, read_timeout_ms: int = 30_000) -> AwsClient:
    """Budgie's own client of an engine."""
    settings = Settings(dynamodb_endpoint_url=url, dynamodb_read_timeout_ms=read_timeout_ms)
    return dynamodb_client(settings, {**CREDENTIALS, "AWS_REGION": REGION})


@contextmanager
def running(kind: str) -> Iterator[AwsClient]:
    """Runs an engine with an empty table, and yields a client of it."""
    with engine(kind) as started, closing(client_of(started.url)) as made:
        yield made


def store_on(dynamodb: AwsClient) -> DynamoDBStore:
    """Budgie's store on the table."""
    return DynamoDBStore(dynamodb, TABLE)


def put_all(dynamodb: AwsClient, items: Iterable[Mapping[str, Any]], table: str = TABLE) -> int:
    """Writes items unchanged, as fast as the engine accepts them; returns their number."""
    rest, count = iter(items), 0
    with (
        ThreadPoolExecutor(LOADERS) as pool,
        tqdm(desc="items written", unit_scale=True, mininterval=1.0) as bar,
    ):
        # In chunks, so that the items of a long channel are never all in memory.
        while chunk := list(islice(rest, BATCH * LOADERS * 4)):
            batches = (chunk[i : i + BATCH] for i in range(0, len(chunk), BATCH))
            list(pool.map(lambda batch: _put(dynamodb, batch, table), batches))
            count += len(chunk)
            bar.update(len(chunk))
    return count


def _put(dynamodb: AwsClient, batch: list[Mapping[str, Any]], table: str) -> None:
    left: Any = {table: [{"PutRequest": {"Item": item}} for item in batch]}
    while left:
        left = dynamodb.call("BatchWriteItem", {"RequestItems": left})["UnprocessedItems"]
