"""An engine for one run, and fresh channels in it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local.dynamodb import DYNAMODB_LOCAL, Engine, client, ensure_table, launch_engine
from local.processes import Processes
from local.template import load
from shared import keys
from shared.clock import now_ms
from shared.model import Head, Kind, Membership, Role
from shared.settings import Settings
from shared.store.interface import Store

TEMPLATE: Final = Path(__file__).resolve().parents[2] / "template.yaml"
OWNER: Final = "owner"
"""Makes the channels, reads, and judges."""


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """DynamoDB Local on 127.0.0.1 with the template's table, in a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch, Processes(Path(scratch)) as processes:
        engine = launch_engine(DYNAMODB_LOCAL, Path(scratch), processes)
        engine.wait_ready()
        with contextlib.closing(client(engine.url)) as made:
            ensure_table(
                made, Settings().table_name, load(TEMPLATE, {"JwtIssuer": "https://issuer.example.com"})
            )
        yield engine


def cpu_seconds(pid: int) -> float:
    """The processor's time that a process has used; 0 where the system has no ``/proc``."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def open_channel(store: Store, members: list[str]) -> str:
    """A new private channel of these members; its id."""
    channel, now = keys.new_channel_id(), now_ms()
    head = Head(channel, Kind.PRIVATE, "contended", "", OWNER, now, members=1)
    assert store.create_channel(head, [Membership(OWNER, channel, Role.OWNER, now)]) is None
    for member in members:
        assert store.add_member(Membership(member, channel, Role.MEMBER, now))
    return channel
