"""`python -m operators` against an engine, as `make` runs it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.dynamodb.engine import MINISTACK
from local.orphans import start_time
from operators import table
from operators.__main__ import main
from shared.bootstrap import compose
from shared.domain.clock import now_ms
from shared.domain.messages import Draft
from shared.domain.retention import DAY_MS
from shared.settings import Settings
from shared.storage.protocol import Store
from shared.use_cases.post_message import post_message
from tests.contract.samples import open_channel, user
from tests.engines import TABLE, Engines, opened_engines


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """An engine for this module."""
    with opened_engines(tmp_path_factory.mktemp("engines")) as engines:
        yield engines


@pytest.fixture
def store(engines: Engines) -> Store:
    """The engine's table."""
    return engines.store(MINISTACK)


@pytest.fixture
def state(tmp_path: Path, engines: Engines) -> Path:
    """A state directory as a running stack leaves it: this process is the stack."""
    url = engines.client(MINISTACK).meta.endpoint_url
    owner = {"pid": os.getpid(), "started": start_time(os.getpid()), "url": "http://127.0.0.1:1"}
    (tmp_path / "lock").write_text(json.dumps(owner | {"dynamodb": url, "table": TABLE}))
    return tmp_path


@pytest.mark.stack
def test_export_and_erase(
    store: Store, state: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel and a user are exported; without `--yes` nothing is erased, with it everything is."""
    monkeypatch.setenv("CACHE_TTL_MESSAGES", "400")
    slept: list[float] = []
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    services = compose(Settings(), store)
    bodies = [
        post_message(services, each, channel, [Draft(f"by {each}")], None).bodies[0] for each in (ada, eve)
    ]
    assert main(["export-channel", channel], state) == 0
    out, err = capfdbinary.readouterr()
    assert out.splitlines()[3:] == bodies
    assert err == b"5 lines\n"
    assert main(["export-channel", channel, "--after", json.loads(bodies[0])["id"]], state) == 0
    assert capfdbinary.readouterr().out == bodies[1] + b"\n"
    assert main(["export-user", eve], state) == 0
    assert capfdbinary.readouterr().out.splitlines()[1:] == [bodies[1]]
    assert main(["erase-user", eve], state) == 1
    assert b"would redact 1 messages in 1 channels" in capfdbinary.readouterr().err
    assert store.membership(channel, eve) is not None
    assert main(["erase-user", eve, "--yes"], state, slept.append) == 0
    assert b"redacted 1 messages" in capfdbinary.readouterr().err
    assert slept == [15, 400]
    assert store.membership(channel, eve) is None
    assert b'"redacted":true' in (store.entries(channel, 2, 2)[0].body or b"")
    assert main(["export-user", eve], state) == 1


@pytest.mark.stack
def test_sweep(store: Store, state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without `--yes` it only counts; it prints what was deleted and what that cost."""
    slept: list[float] = []
    ada = user()
    channel = open_channel(store, ada)
    services = compose(Settings(), store, lambda: now_ms() - 3 * DAY_MS)
    post_message(services, ada, channel, [Draft("old"), Draft("older")], None)
    post_message(compose(Settings(), store), ada, channel, [Draft("new")], None)
    store.update_channel(channel, {"retention_days": 1}, None)
    assert main(["sweep-channel", channel], state, slept.append) == 1
    assert "would delete 2 entries, 0 changes, 0 gaps, 0 reactions in 1 log\n" in capfd.readouterr().err
    assert (len(store.entries(channel, 1, 9)), slept) == (3, [])
    assert main(["sweep-channel", channel, "--yes"], state, slept.append) == 0
    said = capfd.readouterr().err
    assert "deleted 2 entries" in said
    assert "3 write units" in said
    assert ([each.seq for each in store.entries(channel, 1, 9)], slept) == ([3], [15])
    assert main(["sweep-channel", "0" * 16, "--yes"], state) == 1


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stack the error says what is needed, with status 1."""
    for command, id_ in (("export-user", "eve"), ("erase-user", "eve"), ("sweep-channel", "0" * 16)):
        assert main([command, id_], tmp_path) == 1
        assert "no local stack runs here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["export-channel", "x"],
        ["erase-user", ""],
        ["erase-user", "a/b"],
        ["sweep-channel", "eve"],
        ["drop-table", "x"],
    ],
)
def test_arguments_that_cannot_be_are_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2, before anything is called."""
    with pytest.raises(SystemExit) as ended:
        main(arguments, tmp_path)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_deployments_table_needs_a_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """boto3's own error if no region is set; nothing is assumed."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["export-user", "eve", "--table", "budgie"], tmp_path) == 1
    assert "region" in capsys.readouterr().err
    assert table.deployed("budgie", "eu-central-1") is not None
