"""ministack serves only DynamoDB's clients, and loses nothing that it has acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.dynamodb import engine as dynamodb
from local.dynamodb.ministack import Journal
from local.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

ADD = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
KEY = {"pk": {"S": "counter"}}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dynamodb.Engine]:
    """An engine that these tests only read."""
    directory = tmp_path_factory.mktemp("engine")
    with Processes(directory) as processes:
        started = dynamodb.launch_engine(dynamodb.MINISTACK, directory, processes)
        started.wait_ready()
        yield started


def _status(url: str, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    with closing(connection):
        connection.request(
            method, path, b"{}", {name.replace("_", "-"): value for name, value in headers.items()}
        )
        return connection.getresponse().status


LIST = "DynamoDB_20120810.ListTables"


@pytest.mark.stack
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/", {"x_amz_target": LIST, "Origin": "https://evil.example"}),
        ("POST", "/", {"x_amz_target": LIST, "Origin": "http://localhost:3000"}),
        ("POST", "/", {"x_amz_target": LIST, "Origin": "null"}),
        ("POST", "/", {"x_amz_target": LIST, "Host": "evil.example:8000"}),
        ("OPTIONS", "/", {"Access_Control_Request_Method": "POST"}),
        ("POST", "/", {}),
        ("POST", "/", {"x_amz_target": "AmazonSQS.ListQueues"}),
        ("GET", "/", {"x_amz_target": LIST}),
        ("POST", "/_ministack/reset", {}),
        ("POST", "/_ministack/reset", {"x_amz_target": LIST}),
        ("POST", "/_ministack/config", {}),
        ("GET", "/_ministack/health", {}),
        ("GET", "/bucket", {}),
    ],
)
def test_only_dynamodb_calls_of_programs_pass(
    engine: dynamodb.Engine, method: str, path: str, headers: dict[str, str]
) -> None:
    """No page, whatever its origin and host, reaches it, and none of the engine's own routes can be called."""
    assert _status(engine.url, "POST", "/", x_amz_target=LIST) == 200
    assert _status(engine.url, method, path, **headers) == 403


def _count(client: DynamoDBClient) -> int:
    return int(client.get_item(TableName="kept", Key=KEY, ConsistentRead=True)["Item"]["n"]["N"])


@pytest.mark.stack
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    """What was acknowledged before SIGKILL is there once after the next start, for three kills in a row."""
    for run in range(3):
        with Processes(tmp_path) as processes:
            engine = dynamodb.launch_engine(dynamodb.MINISTACK, tmp_path, processes)
            engine.wait_ready()
            with closing(dynamodb.client(engine.url)) as client:
                if not run:
                    client.create_table(
                        TableName="kept",
                        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                        BillingMode="PAY_PER_REQUEST",
                    )
                else:
                    assert _count(client) == 20 * run
                for _ in range(20):
                    client.update_item(TableName="kept", Key=KEY, **ADD)  # type: ignore[arg-type]
            # The last time it is stopped regularly.
            os.kill(engine.pid, signal.SIGTERM if run == 2 else signal.SIGKILL)
    with Processes(tmp_path) as processes:
        url = dynamodb.start_engine(dynamodb.MINISTACK, tmp_path, processes)
        with closing(dynamodb.client(url)) as client:
            assert _count(client) == 60


HEADERS = {
    b"x-amz-target": b"DynamoDB_20120810.PutItem",
    b"authorization": b"AWS4 Credential=1/2, Signature=secret",
}
KEPT = {b"x-amz-target": b"DynamoDB_20120810.PutItem", b"authorization": b"AWS4 Credential=1/2"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal that was begun."""
    with closing(Journal(tmp_path / "journal", tmp_path / "state")) as made:
        made.begin()
        yield made


def test_a_journal_gives_back_what_it_was_given(journal: Journal) -> None:
    """Bodies are kept in order; of the authorization, no signature is."""
    bodies = [json.dumps({"n": n, "text": 'ü "\n'}).encode() for n in range(3)]
    for body in bodies:
        journal.add(HEADERS, body)
    assert list(journal.pending()) == [(KEPT, body) for body in bodies]


def test_a_line_that_was_cut_short_is_left_out(journal: Journal, tmp_path: Path) -> None:
    """It was never acknowledged; the lines before it count."""
    journal.add(HEADERS, b"{}")
    journal.add(HEADERS, b"{}")
    whole = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(whole[:-3])
    assert len(list(journal.pending())) == 1


def test_a_journal_from_before_the_state_was_written_is_not_repeated(
    journal: Journal, tmp_path: Path
) -> None:
    """A kill between writing the state and beginning a new journal replays nothing that the state has."""
    journal.add(HEADERS, b"{}")
    (tmp_path / "state").write_text("written since")
    assert list(journal.pending()) == []
    journal.begin()
    journal.add(HEADERS, b"{}")
    assert len(list(journal.pending())) == 1
