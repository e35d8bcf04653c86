"""The whole local stack starts, serves, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import ports
from local.__main__ import NotRunningError, clean, url
from local.dynamodb import engine as dynamodb
from local.orphans import start_time
from local.processes import AlreadyRunningError, Processes
from local.running import running_stack
from local.settings import LocalSettings, SettingError
from local.stack import Stack
from local.template.load import load
from operators import usage
from tests.lengths import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
ANY_PORTS = LocalSettings(port=0, dynamodb_port=0, redis_port=0, upstash_port=0)
# As `python -m local`, but on the test's own state directory.
PROGRAM = (
    "import sys; from pathlib import Path; from local.__main__ import run; run(*map(Path, sys.argv[1:]))"
)


def _stack(
    directory: Path,
    settings: LocalSettings = ANY_PORTS,
    *,
    environ: MutableMapping[str, str] | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Stack:
    return Stack(settings, ROOT, directory=directory, environ={} if environ is None else environ, log=log)


def _status(url: str, token: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # our own address
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  # as above
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _pids(directory: Path) -> list[int]:
    return [json.loads(path.read_text())["pid"] for path in (directory / "run").glob("*.json")]


def _eventually(condition: Callable[[], bool], *, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def _is_logged(directory: Path, text: str) -> bool:
    return text in (directory / "stack.log").read_text()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The stack as a separate process, ready."""
    any_port = dict.fromkeys(("PORT", "DYNAMODB_PORT", "REDIS_PORT", "UPSTASH_PORT"), "0")
    # Empty means not set, whatever the developer's own `.env` says.
    defaults = dict.fromkeys(set(LocalSettings.VARIABLES) - set(any_port), "")
    process = subprocess.Popen(  # noqa: S603  # our own text
        [sys.executable, "-c", PROGRAM, str(ROOT), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | defaults | any_port,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        while "Ctrl-C" not in process.stdout.readline():
            assert process.poll() is None
        yield process
        process.kill()


def test_the_gateway_answers(tmp_path: Path) -> None:
    """Unknown routes are 404; protected ones accept the stack's tokens."""
    with _stack(tmp_path) as stack:
        assert _status(f"{stack.url}/nowhere") == 404
        assert _status(f"{stack.url}/v1/channels") == 401
        assert _status(f"{stack.url}/v1/channels", stack.token_for("ada")) != 401


def test_handlers_find_their_engines_in_the_environment(tmp_path: Path) -> None:
    """While it runs the variables refer to the local engines; afterwards they are restored."""
    theirs = {
        "AWS_ACCESS_KEY_ID": "theirs",
        "AWS_PROFILE": "work",
        "AWS_REGION": "eu-west-1",
        "NO_PROXY": "example.com",
    }
    environ = dict(theirs)
    with _stack(tmp_path, environ=environ) as stack:
        assert "AWS_PROFILE" not in environ
        assert (
            environ.items()
            >= {
                "AWS_ACCESS_KEY_ID": "000000000001",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_REGION": "us-east-1",
                "DYNAMODB_ENDPOINT_URL": stack.dynamodb_url,
                "NO_PROXY": "example.com,127.0.0.1,localhost",
                "TABLE_NAME": "budgie",
                "UPSTASH_REDIS_REST_URL": stack.upstash_url,
            }.items()
        )
        assert environ["UPSTASH_REDIS_REST_TOKEN"]
        assert environ["REALTIME_URL"] == stack.realtime_url
        table = dynamodb.client(stack.dynamodb_url)
        assert table.describe_table(TableName="budgie")["Table"]["TableStatus"] == "ACTIVE"
        table.close()
    assert environ == theirs


def test_tokens_and_tables_outlive_a_restart(tmp_path: Path) -> None:
    """The second run has the first one's table, key pair and Upstash token."""
    environ: dict[str, str] = {}
    item = {"pk": {"S": "C#1"}, "sk": {"S": "HEAD"}}
    with _stack(tmp_path, environ=environ) as first:
        upstash_token, token = environ["UPSTASH_REDIS_REST_TOKEN"], first.token_for("ada")
        client = dynamodb.client(first.dynamodb_url)
        client.put_item(TableName="budgie", Item=item)
        client.close()
    with _stack(tmp_path, environ=environ) as second:
        assert environ["UPSTASH_REDIS_REST_TOKEN"] == upstash_token
        assert _status(f"{second.url}/v1/channels", token) != 401
        client = dynamodb.client(second.dynamodb_url)
        assert client.scan(TableName="budgie")["Items"] == [item]
        client.close()
    assert (tmp_path / "upstash-token").stat().st_mode & 0o777 == 0o600


def test_engines_of_the_developer_are_used_and_left_alone(tmp_path: Path) -> None:
    """With both addresses given no engine is started, and their credentials are kept."""
    with Processes(tmp_path / "engine") as processes:
        url = dynamodb.start_engine(dynamodb.MINISTACK, tmp_path / "engine", processes)
        environ = {
            "AWS_ACCESS_KEY_ID": "theirs",
            "AWS_SECRET_ACCESS_KEY": "theirs",
            "AWS_REGION": "eu-west-1",
        }
        settings = replace(
            ANY_PORTS,
            dynamodb_endpoint_url=url,
            upstash_redis_rest_url="http://127.0.0.1:9",
            upstash_redis_rest_token="their-token",
        )
        with _stack(tmp_path / "stack", settings, environ=environ) as stack:
            assert _pids(tmp_path / "stack") == []
            assert (stack.dynamodb_url, stack.upstash_url) == (url, "http://127.0.0.1:9")
            assert environ["UPSTASH_REDIS_REST_TOKEN"] == "their-token"
            assert (environ["AWS_ACCESS_KEY_ID"], environ["AWS_REGION"]) == ("theirs", "eu-west-1")


def test_a_local_engine_of_the_developer_needs_no_credentials(tmp_path: Path) -> None:
    """On this machine made-up credentials are enough; an unreachable engine is named."""
    closed = f"http://127.0.0.1:{ports.choose(0)}"
    environ: dict[str, str] = {}
    stack = _stack(tmp_path, replace(ANY_PORTS, dynamodb_endpoint_url=closed), environ=environ)
    with pytest.raises(dynamodb.EndpointUnusableError, match=rf"^DynamoDB at {closed}: Could not connect"):
        stack.__enter__()
    assert environ == {}


def test_two_stacks_that_prefer_the_same_ports_live_side_by_side(tmp_path: Path) -> None:
    """A port in use does not prevent the start; a message names it and the one that is used instead."""
    said: list[str] = []
    with _stack(tmp_path / "one") as one:
        taken = int(one.url.rpartition(":")[2])
        with _stack(tmp_path / "two", replace(ANY_PORTS, port=taken), log=said.append) as two:
            assert (
                said[0] == f"PORT={taken} is taken: the API listens on {two.url.rpartition(':')[2]} instead."
            )
            assert _status(f"{one.url}/nowhere") == _status(f"{two.url}/nowhere") == 404
            assert one.url != two.url


def test_a_second_stack_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """The error names the first stack's address; that stack continues."""
    with _stack(tmp_path) as first:
        with pytest.raises(AlreadyRunningError, match=first.url):
            _stack(tmp_path).__enter__()
        assert _status(f"{first.url}/nowhere") == 404


def test_a_start_that_fails_leaves_nothing_running(tmp_path: Path) -> None:
    """A table with other keys ends the start, and the engines."""
    template = load(ROOT / "template.yaml", {"JwtIssuer": "https://budgie.local"})
    older = template.table() | {"GlobalSecondaryIndexes": []}
    older["AttributeDefinitions"] = older["AttributeDefinitions"][:2]
    del older["GlobalSecondaryIndexes"]
    with Processes(tmp_path) as processes:
        client = dynamodb.client(dynamodb.start_engine(dynamodb.MINISTACK, tmp_path, processes))
        dynamodb.ensure_table(client, "budgie", replace(template, _table=older))
        client.close()
    environ: dict[str, str] = {}
    with pytest.raises(dynamodb.TableDiffersError, match="make clean"):
        _stack(tmp_path, environ=environ).__enter__()
    assert _pids(tmp_path) == []
    assert environ == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, *([signal.SIGTERM] if LONG else [])])
def test_a_signal_stops_everything(
    program: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C, a termination and a closed terminal end it and its children in order, with status 0."""
    pids = _pids(tmp_path)
    assert len(pids) == 2
    program.send_signal(number)
    program.send_signal(number)  # a second, impatient one does no harm
    assert program.stdout is not None
    assert program.stdout.read().rstrip().endswith("Stopped.")
    assert program.wait(30) == 0
    assert all(start_time(pid) is None for pid in pids)


def test_nothing_outlives_a_stack_that_is_killed(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """After SIGKILL of the stack its engines end in order too: ministack has written its tables."""
    pids = _pids(tmp_path)
    program.kill()
    assert _eventually(lambda: all(start_time(pid) is None for pid in pids))
    assert (tmp_path / "ministack-state" / "dynamodb.json").exists()


@pytest.mark.parametrize("variable", ["CACHE_MEMORY_BYTES", "RATE_LIMIT_BURST"])
def test_a_setting_that_functions_cannot_use_is_refused_at_the_start(tmp_path: Path, variable: str) -> None:
    """The error names the variable, and nothing is started: every request would fail."""
    with pytest.raises(SettingError, match=variable):
        _stack(tmp_path, environ={variable: "0"}).__enter__()
    assert not (tmp_path / "run").exists()


def test_the_address_of_the_running_stack_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make -s url` and `make usage` find it on any port; without a stack they say so."""
    state = tmp_path / ".local"
    state.mkdir()
    with running_stack(state) as stack:
        assert url(state) == stack.url
        assert usage.main([], {}, tmp_path) == 0
        assert "commands today" in capsys.readouterr().out
    with pytest.raises(NotRunningError, match="make run"):
        url(state)
    assert usage.main([], {}, tmp_path) == 2
    assert "make run" in capsys.readouterr().err


def test_an_engine_that_is_killed_is_started_again(tmp_path: Path) -> None:
    """The terminal shows it, and a channel that was acknowledged before is still there."""
    with running_stack(tmp_path) as stack, stack.client(tries=30) as client:
        body = {"kind": "private", "name": "crew"}
        made = client.call("POST", "/v1/channels", "ada", body=body).json["id"]
        for name in ("ministack", "valkey"):
            stack.kill_engine(name)
            assert _eventually(partial(_is_logged, tmp_path, f"{name} is ready again"), within=60)
            (channel,) = client.call("GET", "/v1/channels", "ada").json["channels"]
            assert channel["id"] == made
            assert _is_logged(tmp_path, f"{name} ended (SIGKILL)")


def test_clean_forgets_state_and_keeps_what_is_installed(tmp_path: Path) -> None:
    """Engines stay installed; tables, keys and logs are removed."""
    (tmp_path / "ministack-venv").mkdir()
    with _stack(tmp_path):
        with pytest.raises(AlreadyRunningError):
            clean(tmp_path)
        assert (tmp_path / "token-key.pem").exists()
    clean(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ministack-venv", "lock"}
