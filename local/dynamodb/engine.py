"""The DynamoDB engines of the local stack, and the table in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local import ports
from local.dynamodb import dynamodb_local

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

    from local.processes import Child, Processes
    from local.template.load import Template

MINISTACK: Final = "ministack"
DYNAMODB_LOCAL: Final = "dynamodb-local"
ENGINES: Final = (MINISTACK, DYNAMODB_LOCAL)

REGION: Final = "us-east-1"
CREDENTIALS: Final[Mapping[str, str]] = {
    # Twelve digits: ministack treats them as an account number, and separates accounts.
    "AWS_ACCESS_KEY_ID": "000000000001",
    "AWS_SECRET_ACCESS_KEY": "local",  # engines do not check signatures
}
"""The credentials for calls to our engines."""

_ROOT: Final = Path(__file__).resolve().parents[2]
INSTALLED: Final = _ROOT / ".local"
# DynamoDB Local takes up to 8 s to start on an idle machine; ministack replays 3,000 changes a second.
_START_SECONDS: Final[Mapping[str, float]] = {MINISTACK: 600.0, DYNAMODB_LOCAL: 60.0}


class EngineMissingError(RuntimeError):
    """The engine is not installed; the text says how to install it."""


class EndpointUnusableError(RuntimeError):
    """The DynamoDB engine refuses us or is unreachable; the text says which engine, and why."""


class TableDiffersError(RuntimeError):
    """The table exists with other keys or indexes than in `template.yaml`."""


@dataclass(frozen=True)
class Engine:
    """A started engine. It can be called at `url` once `wait_ready` has returned."""

    kind: str
    url: str
    child: Child
    """Its process."""
    _port: int

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self.child.pid

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        return ports.is_open(self._port)

    def wait_ready(self) -> None:
        """Return once the engine accepts connections.

        Raises:
            ChildFailedError: it ended, or was not ready in time: a minute, or ten for ministack, which may have to
                replay changes of an earlier run.
        """
        self.child.wait_ready(self.is_ready, timeout=_START_SECONDS[self.kind])


def default_engine() -> str:
    """The engine for benchmarks: DynamoDB Local if it has been downloaded, as it is faster, else ministack."""
    return DYNAMODB_LOCAL if dynamodb_local.is_fetched(INSTALLED / "dynamodb-local") else MINISTACK


def start_engine(
    kind: str, directory: Path, processes: Processes, *, port: int = 0, installed: Path = INSTALLED
) -> str:
    """Start an engine on 127.0.0.1, wait until it is ready, and return its address.

    Args:
        kind: one of `ENGINES`.
        directory: where it stores its tables.
        processes: stops the engine.
        port: the preferred one; another is used if it is not free.
        installed: where the engines are installed.

    Raises:
        EngineMissingError: it is not installed.
        ChildFailedError: it did not start.
    """
    engine = launch_engine(kind, directory, processes, port=port, installed=installed)
    engine.wait_ready()
    return engine.url


def launch_engine(
    kind: str, directory: Path, processes: Processes, *, port: int = 0, installed: Path = INSTALLED
) -> Engine:
    """As `start_engine`, without waiting."""
    chosen = ports.choose(port)
    state = (directory / f"{kind}-state").resolve()
    state.mkdir(parents=True, exist_ok=True)
    launch = _ministack if kind == MINISTACK else _dynamodb_local
    argv, env = launch(state, chosen, installed)
    # A chosen environment: no credentials of the user, and no AWS_* that would change its behaviour.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "JAVA_HOME") if name in os.environ}
    child = processes.start(kind, argv, env=kept | env, cwd=state)
    return Engine(kind, f"http://{ports.LOOPBACK}:{chosen}", child, chosen)


def client(endpoint_url: str, environ: Mapping[str, str] = CREDENTIALS) -> DynamoDBClient:
    """Return a client for creating tables; the handlers create their own, with other timeouts.

    Args:
        endpoint_url: the engine's address.
        environ: credentials and region in AWS's variables; without credentials boto3 searches for them.
    """
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=2, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4}
        ),
        region_name=environ.get("AWS_REGION") or REGION,
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environ.get("AWS_SESSION_TOKEN"),
    )


def set_up(endpoint_url: str, environ: Mapping[str, str], name: str, template: Template) -> None:
    """Create the table in an engine, by `ensure_table` with a temporary client.

    Raises:
        EndpointUnusableError: the engine refuses us or is unreachable.
        TableDiffersError: the table exists with other keys or indexes.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with contextlib.closing(client(endpoint_url, environ)) as dynamodb:
            ensure_table(dynamodb, name, template)
    except (BotoCoreError, ClientError) as error:
        raise EndpointUnusableError(f"DynamoDB at {endpoint_url}: {error}") from error


def ensure_table(client: DynamoDBClient, name: str, template: Template) -> bool:
    """Create the table of `template.yaml` unless it exists; wait until it is active; enable its TTL.

    Returns:
        True if it was created.

    Raises:
        TableDiffersError: it exists with other keys or indexes.
    """
    wanted = template.table()
    created = name not in _tables(client)
    if created:
        client.create_table(TableName=name, **wanted)
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    _compare(name, client.describe_table(TableName=name)["Table"], wanted)
    if attribute := template.ttl_attribute():
        _enable_ttl(client, name, attribute)
    return created


def _ministack(state: Path, port: int, installed: Path) -> tuple[list[str], dict[str, str]]:
    # It pins botocore exactly, so it has its own virtual environment.
    python = installed / "ministack-venv" / "bin" / "python"
    if not python.exists():
        raise EngineMissingError("ministack is not installed: run `make setup`")
    scratch = state / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = {
        # The folder of `local.dynamodb.ministack`, which serves it.
        "PYTHONPATH": str(_ROOT),
        "BIND_HOST": ports.LOOPBACK,
        "GATEWAY_PORT": str(port),
        "SERVICES": "dynamodb,dynamodbstreams",
        # Both would listen on all interfaces by default.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # It manages containers of its own if it finds Docker; we use none.
        "DOCKER_HOST": "unix:///nonexistent",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
        "TMPDIR": str(scratch),
        "LOG_LEVEL": "WARNING",
    }
    return [str(python), "-m", "local.dynamodb.ministack"], environment


def _dynamodb_local(state: Path, port: int, installed: Path) -> tuple[list[str], dict[str, str]]:
    home = installed / "dynamodb-local"
    if not dynamodb_local.is_fetched(home):
        dynamodb_local.fetch(home)
    return dynamodb_local.command(home, port, state), dynamodb_local.environment()


def _tables(client: DynamoDBClient) -> set[str]:
    pages = client.get_paginator("list_tables").paginate()
    return {name for page in pages for name in page["TableNames"]}


def _compare(name: str, found: TableDescriptionTypeDef, wanted: Mapping[str, Any]) -> None:
    is_now, should_be = _shape(found), _shape(wanted)
    differing = [part for part, value in should_be.items() if is_now[part] != value]
    if differing:
        raise TableDiffersError(
            f"table {name} exists with other {' and '.join(differing)} than template.yaml gives it: "
            "remove it (`make clean` forgets the local state) or choose another TABLE_NAME"
        )


def _shape(table: Mapping[str, Any]) -> dict[str, object]:
    """What cannot be changed in place, in a form that compares regardless of order."""
    return {
        "keys": _keys(table),
        "indexes": {
            index["IndexName"]: (
                _keys(index),
                index["Projection"]["ProjectionType"],
                frozenset(index["Projection"].get("NonKeyAttributes", ())),
            )
            for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
            for index in table.get(kind) or ()
        },
        "key types": {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]},
    }


def _keys(owner: Mapping[str, Any]) -> dict[str, str]:
    return {key["KeyType"]: key["AttributeName"] for key in owner["KeySchema"]}


def _enable_ttl(client: DynamoDBClient, name: str, attribute: str) -> None:
    # Enabling it twice is an error.
    status = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"].get("TimeToLiveStatus")
    if status not in ("ENABLED", "ENABLING"):
        client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
        )
