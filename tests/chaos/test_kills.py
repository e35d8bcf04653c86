"""Writers and the engine are killed for a moment, and the audit would notice what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.bootstrap import compose
from shared.domain.messages import Draft
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.use_cases.post_message import post_message
from tests.chaos.crash.audit import audit
from tests.chaos.crash.writers import Post, Response
from tests.contract.samples import open_channel
from tests.engines import skip_unless_runnable

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_tiny_attack_loses_nothing() -> None:
    """A dozen writers and the engine are killed; every target is met."""
    skip_unless_runnable()
    command = [sys.executable, "-m", "tests.chaos.kills", "--tiny", "--check", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own text
    assert done.returncode == 0, done.stdout + done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["writers_killed"] >= 12
    assert printed["engine_killed"] >= 1
    assert all(printed["targets"].values())


class Posted:
    """One acknowledged post."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.channel = open_channel(self.store, "ada", "grace")
        self.post = Post(self.channel, "ada", "k1", ("hello",))
        self.response = Response(201, self.send("k1"), replayed=False)

    def send(self, key: str) -> str:
        """Posts it."""
        services = compose(Settings(), self.store)
        posted = post_message(services, "ada", self.channel, [Draft("hello")], key)
        return posted.bodies[0].decode()

    def violations(self) -> int:
        """What the audit finds."""
        return audit(self.store, [self.channel], "grace", {self.post: self.response}).violations


def test_the_audit_finds_nothing_where_nothing_is_wrong() -> None:
    """One post that is stored once is no violation."""
    assert Posted().violations() == 0


def test_the_audit_finds_a_doubled_message() -> None:
    """The same text at two positions is a violation."""
    posted = Posted()
    posted.send("k2")
    assert posted.violations() == 1


def test_the_audit_finds_a_lost_message() -> None:
    """An acknowledged message whose position is a void is a violation."""
    posted = Posted()
    posted.send("k2")
    posted.response = Response(201, posted.send("k3"), replayed=False)
    log = posted.store.log(posted.channel)
    del log[1], log[3]
    assert posted.violations() == 1
