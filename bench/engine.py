"""A DynamoDB engine for a benchmark: started with the table of the template, filled quickly, and ended."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from local.dynamodb import CREDENTIALS, REGION, client, ensure_table, start_engine
from local.processes import Processes
from local.template import load
from shared.aws.connect import dynamodb_client
from shared.aws.protocol import AwsClient
from shared.settings import Settings
from shared.store.dynamodb import DynamoDBStore

TABLE: Final = "budgie-bench"
TEMPLATE: Final = Path(__file__).resolve().parents[1] / "template.yaml"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory with a random name is made in it
"""Files in memory, where they can be written: DynamoDB Local waits for the disk at each write, DynamoDB does not."""
BATCH: Final = 25
"""Items of one BatchWriteItem, by DynamoDB's limit."""
LOADERS: Final = 8
PROGRESS: Final = 10_000
"""Items between two signs of life."""


def fastest(memory: Path = MEMORY) -> Path | None:
    """Where files are quickest; None, the usual place, where memory cannot be written."""
    return memory if os.access(memory, os.W_OK) else None


@contextmanager
def running(kind: str) -> Iterator[AwsClient]:
    """Budgie's own client of an engine of ``local.dynamodb.ENGINES`` with an empty table; both end with the context."""
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
            )
        )
        url = start_engine(kind, directory, stack.enter_context(Processes(directory)))
        with closing(client(url)) as admin:
            ensure_table(admin, TABLE, load(TEMPLATE, {"JwtIssuer": "https://issuer.example.com"}))
        settings = Settings(dynamodb_endpoint_url=url, dynamodb_read_timeout_ms=30_000)
        yield stack.enter_context(closing(dynamodb_client(settings, {**CREDENTIALS, "AWS_REGION": REGION})))


def store_on(dynamodb: AwsClient) -> DynamoDBStore:
    """The storage of Budgie on the table."""
    return DynamoDBStore(dynamodb, TABLE)


def put_all(dynamodb: AwsClient, items: Iterable[Mapping[str, Any]]) -> int:
    """Writes items as they are, as fast as the engine takes them; how many they were."""
    rest, count = iter(items), 0
    with ThreadPoolExecutor(LOADERS) as pool:
        # A little ahead of the engine, and no further: the items of a long channel need not all be in memory.
        while chunk := list(islice(rest, BATCH * LOADERS * 4)):
            count += len(chunk)
            batches = (chunk[i : i + BATCH] for i in range(0, len(chunk), BATCH))
            list(pool.map(lambda batch: _put(dynamodb, batch), batches))
            if count % PROGRESS < len(chunk):
                print(f"{count:,} items written", file=sys.stderr, flush=True)
    return count


def _put(dynamodb: AwsClient, batch: list[Mapping[str, Any]]) -> None:
    wanted: Any = {TABLE: [{"PutRequest": {"Item": item}} for item in batch]}
    while wanted:
        wanted = dynamodb.call("BatchWriteItem", {"RequestItems": wanted})["UnprocessedItems"]
