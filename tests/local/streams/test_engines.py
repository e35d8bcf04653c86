"""The streams of the real engines are read as the fake one is, through crashes of an engine too."""

from __future__ import annotations

import json
import os
import queue
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.dynamodb.engine import (
    CREDENTIALS,
    DYNAMODB_LOCAL,
    MINISTACK,
    TableDiffersError,
    client,
    ensure_table,
    launch_engine,
)
from local.processes import Keeper, Processes
from local.streams.event_source import EventSource
from local.streams.mapping import StreamMapping
from local.streams.patterns import compile_pattern
from local.streams.reader import EngineStreams, Reader
from local.template.load import load

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.stack

TEMPLATE = """
Resources:
  Dispatch:
    Type: AWS::Serverless::Function
    Properties:
      Handler: box.handler
      Events:
        Stream: {Type: DynamoDB, Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
"""
STREAM = "      StreamSpecification: {StreamViewType: %s}\n"
ONLY_INSERTS = EventSource(function="F", filters=(compile_pattern(json.dumps({"eventName": ["INSERT"]})),))


def _ensure(dynamodb: DynamoDBClient, path: Path, text: str) -> None:
    path.write_text(text)
    ensure_table(dynamodb, "streamed", load(path))


def _put(dynamodb: DynamoDBClient, key: str) -> None:
    dynamodb.put_item(TableName="streamed", Item={"pk": {"S": key}, "body": {"B": b"\0\1"}})


@pytest.mark.parametrize("kind", [MINISTACK, pytest.param(DYNAMODB_LOCAL, marks=pytest.mark.dynamodb_local)])
def test_a_write_reaches_the_function(kind: str, tmp_path: Path) -> None:
    """As Lambda's record, also after a crash; the table of an earlier run gets its stream, but no other images."""
    got: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    seen: list[str] = []

    def function(event: dict[str, Any]) -> None:
        for record in event["Records"]:
            got.put(record)

    def next_new() -> dict[str, Any]:
        """The next record that did not come before: the one after a crash may come with all before it."""
        while True:
            record = got.get(timeout=20)
            if (key := record["dynamodb"]["Keys"]["pk"]["S"]) not in seen:
                seen.append(key)
                return record

    with Processes(tmp_path) as processes, Keeper(lambda _: None) as keeper:
        engine = launch_engine(kind, tmp_path, processes)
        engine.wait_ready()
        keeper.keep(engine.child, engine.is_ready)
        dynamodb = client(engine.url)
        _ensure(dynamodb, tmp_path / "template.yaml", TEMPLATE)
        _put(dynamodb, "before")
        for _ in range(2):
            _ensure(dynamodb, tmp_path / "template.yaml", TEMPLATE + STREAM % "NEW_AND_OLD_IMAGES")
        with pytest.raises(TableDiffersError, match="images in its stream"):
            _ensure(dynamodb, tmp_path / "template.yaml", TEMPLATE + STREAM % "NEW_IMAGE")

        streams = EngineStreams(engine.url, CREDENTIALS)
        reader = Reader(streams, "streamed", "LATEST", incarnation=lambda: engine.pid)
        with StreamMapping(ONLY_INSERTS, reader, function, log=lambda _: None):
            _put(dynamodb, "first")
            _put(dynamodb, "first")
            record = next_new()
            assert record["eventName"] == "INSERT"
            assert record["eventSource"] == "aws:dynamodb"
            assert record["eventSourceARN"].split("/")[:2][-1] == "streamed"
            assert record["dynamodb"]["NewImage"] == {"pk": {"S": "first"}, "body": {"B": "AAE="}}
            assert record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"

            killed = engine.pid
            os.kill(killed, signal.SIGKILL)
            while engine.pid == killed or not engine.is_ready():
                time.sleep(0.02)
            _put(dynamodb, "second")
            next_new()
            assert seen == ["first", "second"]
        streams.close()
        dynamodb.close()
