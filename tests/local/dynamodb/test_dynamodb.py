"""The engines listen on 127.0.0.1 only and keep their tables; the table is the one of `template.yaml`."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.dynamodb import engine as dynamodb
from local.dynamodb.engine import TableDiffersError, client, ensure_table, start_engine
from local.processes import Processes
from local.template.load import Template, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[3]
ENGINES = [
    dynamodb.MINISTACK,
    pytest.param(dynamodb.DYNAMODB_LOCAL, marks=pytest.mark.dynamodb_local),
]


@pytest.fixture(scope="module")
def template() -> Template:
    """The project's own."""
    return load(ROOT / "template.yaml", {"JwtIssuer": "https://budgie.local"})


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DynamoDBClient]:
    """A client of an engine that this module's tests share; each uses its own table."""
    directory = tmp_path_factory.mktemp("engine")
    with Processes(directory) as processes:
        endpoint = client(start_engine(request.param, directory, processes))
        yield endpoint
        endpoint.close()


def test_the_table_is_made_as_the_template_says(engine: DynamoDBClient, template: Template) -> None:
    """Keys, indexes, projections and the TTL attribute are those of the template."""
    assert ensure_table(engine, "made", template)
    table = engine.describe_table(TableName="made")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    members, public = sorted(table["GlobalSecondaryIndexes"], key=lambda index: index["IndexName"])
    assert set(members["Projection"]["NonKeyAttributes"]) == {"role", "joined_at"}
    assert public["Projection"]["ProjectionType"] == "KEYS_ONLY"
    ttl = engine.describe_time_to_live(TableName="made")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_making_the_table_again_changes_nothing(engine: DynamoDBClient, template: Template) -> None:
    """A second start finds the table and its content."""
    assert ensure_table(engine, "again", template)
    engine.put_item(TableName="again", Item={"pk": {"S": "C#1"}, "sk": {"S": "HEAD"}})
    assert not ensure_table(engine, "again", template)
    assert engine.scan(TableName="again")["Count"] == 1


@pytest.mark.parametrize("part", ["keys", "indexes", "key types"])
def test_a_table_of_another_shape_is_refused(engine: DynamoDBClient, template: Template, part: str) -> None:
    """A table of an older template is not used silently; the message names the differences."""
    name = f"shape-{part.replace(' ', '-')}"
    older = template.table()
    if part == "keys":
        older["KeySchema"] = older["KeySchema"][:1]
        older["AttributeDefinitions"] = [
            a for a in older["AttributeDefinitions"] if a["AttributeName"] != "sk"
        ]
    elif part == "indexes":
        older["GlobalSecondaryIndexes"] = older["GlobalSecondaryIndexes"][:1]
        used = {"pk", "sk", "ch"}
        older["AttributeDefinitions"] = [
            a for a in older["AttributeDefinitions"] if a["AttributeName"] in used
        ]
    else:
        older["AttributeDefinitions"] = [a | {"AttributeType": "N"} for a in older["AttributeDefinitions"]]
    ensure_table(engine, name, replace(template, _table=older))
    with pytest.raises(TableDiffersError, match=rf"table {name} exists with other (.* and )?{part}"):
        ensure_table(engine, name, template)


@pytest.mark.parametrize("kind", ENGINES)
def test_tables_survive_a_clean_stop(kind: str, tmp_path: Path, template: Template) -> None:
    """Data is still there after a stop and a start, including bytes."""
    item: dict[str, Any] = {
        "pk": {"S": "C#1"},
        "sk": {"S": "E#000000000001"},
        "body": {"B": bytes(range(256))},
    }
    with Processes(tmp_path) as processes:
        first = client(start_engine(kind, tmp_path, processes))
        ensure_table(first, "kept", template)
        first.put_item(TableName="kept", Item=item)
        # The connection stays open: stopping must not wait for clients.
    first.close()
    with Processes(tmp_path) as processes:
        second = client(start_engine(kind, tmp_path, processes))
        assert not ensure_table(second, "kept", template)
        assert second.scan(TableName="kept")["Items"] == [item]
        second.close()


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss tells who listens where")
@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_listens_on_loopback_only(kind: str, tmp_path: Path) -> None:
    """The network cannot reach a developer's tables."""
    with Processes(tmp_path) as processes:
        engine = dynamodb.launch_engine(kind, tmp_path, processes)
        engine.wait_ready()
        listening = subprocess.run(
            ["ss", "-Hltunp"],  # noqa: S607  # wherever it lies
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        ours = [line.split()[4] for line in listening.splitlines() if f"pid={engine.pid}," in line]
        assert ours == [engine.url.removeprefix("http://")]


def test_a_missing_engine_says_how_to_install_it(tmp_path: Path) -> None:
    """Without ministack's environment the error names the command."""
    with Processes(tmp_path) as processes, pytest.raises(dynamodb.EngineMissingError, match="make setup"):
        start_engine(dynamodb.MINISTACK, tmp_path, processes, installed=tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_answers_no_web_page(kind: str, tmp_path: Path) -> None:
    """A foreign name that resolves to this machine is refused, and so is the preflight of a foreign page."""
    call = {
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
        "Authorization": "AWS4 Credential=1/1/us-east-1/dynamodb/",
    }
    with Processes(tmp_path) as processes:
        url = start_engine(kind, tmp_path, processes)
        assert _sent(url, "POST", call)[0] != 404
        assert _sent(url, "POST", call | {"Host": "evil.example:8000"})[0] in {403, 404}
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-amz-target"}
        _, headers = _sent(url, "OPTIONS", asked | {"Origin": "https://evil.example"})
        assert headers.get("Access-Control-Allow-Origin") not in {"*", "https://evil.example"}


def _sent(url: str, method: str, headers: dict[str, str]) -> tuple[int, Message]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, "/", b"{}", {"Content-Type": "application/x-amz-json-1.0"} | headers)
        response = connection.getresponse()
        return response.status, response.headers
