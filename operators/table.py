"""The table for an operator's tools: a deployment's, with their own credentials, or the running local stack's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from local import orphans
from local.dynamodb import engine as dynamodb
from local.settings import read_environment
from shared.storage.dynamodb import DynamoDBStore

ROOT: Final = Path(__file__).resolve().parents[1]
STATE: Final = ROOT / ".local"
ATTEMPTS: Final = 10
"""Attempts of one call, with growing waits in between: tools have time, and the table's capacity may be small."""


class NoTableError(RuntimeError):
    """There is no table; the text says what to do."""


def deployed(name: str, region: str | None) -> DynamoDBStore:
    """A deployment's table; boto3 finds credentials, profile and region.

    Raises:
        botocore.exceptions.BotoCoreError: no region is set.
    """
    import boto3
    from botocore.config import Config

    from shared.aws.botocore_client import BotocoreClient

    config = Config(
        connect_timeout=2, read_timeout=20, retries={"mode": "standard", "total_max_attempts": ATTEMPTS}
    )
    client: Any = boto3.Session(region_name=region).client("dynamodb", config=config)
    return DynamoDBStore(BotocoreClient(client), name)


def local(state: Path = STATE) -> DynamoDBStore:
    """The table of the local stack that runs on a state directory.

    Raises:
        NoTableError: none runs there.
    """
    from shared.aws.botocore_client import BotocoreClient

    owner = orphans.read(state / "lock")
    if not (owner.get("dynamodb") and orphans.still_runs(owner)):
        raise NoTableError(
            "no local stack runs here: start one (make run), or name a deployment's table (--table)"
        )
    environment = read_environment(ROOT, os.environ)
    # As in the stack: the developer's own engine is called with their own credentials.
    credentials = environment if environment.get("DYNAMODB_ENDPOINT_URL") else dynamodb.CREDENTIALS
    client = dynamodb.client(str(owner["dynamodb"]), credentials)
    return DynamoDBStore(BotocoreClient(client), str(owner["table"]))
