"""The Redis server of the local stack."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.upstash import valkey
from local.upstash.resp import Connection, Status

pytestmark = pytest.mark.stack


def test_what_was_written_survives_a_restart(tmp_path: Path) -> None:
    """A server that is restarted on the same directory has its keys."""
    for expected in (None, b"kept"):
        with valkey.running(tmp_path) as port, Connection("127.0.0.1", port) as connection:
            assert connection.run(b"GET", b"key") == expected
            assert connection.run(b"SET", b"key", b"kept") == Status(b"OK")


def test_listens_on_loopback_only_and_never_evicts(tmp_path: Path) -> None:
    """The server is bound to 127.0.0.1 and refuses writes when full, as Upstash does."""
    with valkey.running(tmp_path) as port, Connection("127.0.0.1", port) as connection:
        assert connection.run(b"CONFIG", b"GET", b"bind") == [b"bind", b"127.0.0.1"]
        assert connection.run(b"CONFIG", b"GET", b"maxmemory-policy") == [b"maxmemory-policy", b"noeviction"]


def test_logs_to_standard_output(tmp_path: Path) -> None:
    """The server runs in the foreground and reports on standard output when it is ready."""
    with valkey.running(tmp_path / "other") as taken:
        argv = valkey.command(taken, tmp_path / "state")
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - our own argv
    assert done.returncode != 0
    assert "in use" in done.stdout


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    """Waiting for a server that never responds raises an error that names the port."""
    with valkey.running(tmp_path) as port:
        pass
    with pytest.raises(TimeoutError, match=str(port)):
        valkey.wait_ready(port, timeout=0.1)
