"""What the engine alone loses: transactions without any of Budgie's code, and the engine killed in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from local.dynamodb import engine as dynamodb
from tests.chaos.crash.engine import TABLE, MortalEngine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WRITERS: Final = 4
LIFE_SECONDS: Final = 2.0


class Control:
    """Writers that put two items in one transaction, again and again, each pair under its own number."""

    def __init__(self, engine: MortalEngine) -> None:
        self._engine = engine
        self._over = threading.Event()
        self._acknowledged: list[tuple[int, int, float]] = []

    def run(self, kills: int) -> dict[str, Any]:
        """Kills the engine so many times; what it had acknowledged, and what of that is gone, or is there by half."""
        threads = [threading.Thread(target=self._write, args=(each,), daemon=True) for each in range(WRITERS)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(LIFE_SECONDS)
            self._engine.kill()
        self._over.set()
        for thread in threads:
            thread.join()
        standing = {side: set(self._standing(side)) for side in "XY"}
        lost = [each for each in self._acknowledged if each[:2] not in standing["X"] & standing["Y"]]
        return {
            "engine_killed": kills,
            "acknowledged": len(self._acknowledged),
            "lost": len(lost),
            "half": len(standing["X"] ^ standing["Y"]),
            "seconds_from_the_kill": [self._from_kill(at) for _, _, at in lost],
        }

    def _from_kill(self, at: float) -> float:
        """Seconds to the nearest kill: below 0 the response came first, above 0 it was under way."""
        nearest: float = min((at - killed for killed in self._engine.killed_at), key=abs)
        return round(nearest, 3)

    def _write(self, writer: int) -> None:
        number = 0
        with closing(dynamodb.client(self._engine.url)) as client:
            while not self._over.is_set():
                number += 1
                with suppress(BotoCoreError, ClientError):
                    client.transact_write_items(TransactItems=[_put(side, writer, number) for side in "XY"])
                    self._acknowledged.append((writer, number, time.monotonic()))

    def _standing(self, side: str) -> Iterator[tuple[int, int]]:
        with closing(dynamodb.client(self._engine.url)) as client:
            for writer in range(WRITERS):
                yield from ((writer, number) for number in _numbers(client, f"{side}#{writer}"))


def _put(side: str, writer: int, number: int) -> Any:
    item = {"pk": {"S": f"{side}#{writer}"}, "sk": {"S": f"{number:08d}"}}
    return {"Put": {"TableName": TABLE, "Item": item}}


def _numbers(client: DynamoDBClient, key: str) -> Iterator[int]:
    pages = client.get_paginator("query").paginate(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": key}},
        ConsistentRead=True,
    )
    for page in pages:
        yield from (int(item["sk"]["S"]) for item in page["Items"])
