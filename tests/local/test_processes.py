"""Child servers end with their owner, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import orphans, ports
from local.orphans import reap, start_time
from local.processes import MAX_DEATHS, AlreadyRunningError, ChildFailedError, Keeper, Processes

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
# Owns a directory, starts two children, prints their ids, and waits to be killed.
OWNER = """\
import sys, time
from pathlib import Path
from local.processes import Processes

processes = Processes(Path(sys.argv[1])).__enter__()
processes.announce("http://127.0.0.1:1")
pids = [processes.start(name, [sys.executable, "-c", "import time; time.sleep(60)"]).pid for name in ("a", "b")]
print(*pids, processes._guard.pid, flush=True)
time.sleep(60)
"""


def _eventually(condition: Callable[[], bool], *, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def _gone(pid: int) -> bool:
    return start_time(pid) is None


def _start_owner(directory: Path) -> tuple[subprocess.Popen[str], list[int], int]:
    owner = subprocess.Popen(  # noqa: S603  # our own text
        [sys.executable, "-c", OWNER, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    *children, guard = map(int, owner.stdout.readline().split())
    return owner, children, guard


def _kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()


def test_closing_stops_the_children_in_reverse_order(tmp_path: Path) -> None:
    """Children stop in reverse order, and no record remains."""
    note = tmp_path / "order"
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(note)!r}, 'a').write(sys.argv[1])\n"
        "    raise SystemExit\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with Processes(tmp_path) as processes:
        for name in "abc":
            child = processes.start(name, [sys.executable, "-c", program, name])
            child.wait_ready(lambda log=child.log: "ready" in log.read_text())  # type: ignore[misc]
    assert note.read_text() == "cba"
    assert not list((tmp_path / "run").iterdir())


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace time a child is killed."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with Processes(tmp_path) as processes:
        child = processes.start("stubborn", [sys.executable, "-c", program])
        child.wait_ready(lambda: bool(child.log.read_text()))
        child.stop(grace=0.2)
        assert _gone(child.pid)


def test_a_child_that_ends_at_once_says_why(tmp_path: Path) -> None:
    """The error of a child that did not start contains the end of its log."""
    with Processes(tmp_path) as processes:
        child = processes.start("broken", [sys.executable, "-c", "raise SystemExit('no such port')"])
        with pytest.raises(ChildFailedError, match=r"broken ended with status 1(.|\n)*no such port"):
            child.wait_ready(lambda: False)


def test_a_child_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    """Waiting for a child times out."""
    with Processes(tmp_path) as processes:
        child = processes.start("slow", SLEEPER)
        with pytest.raises(ChildFailedError, match=r"slow was not ready within 0\.1 s"):
            child.wait_ready(lambda: False, timeout=0.1)


def test_a_child_that_ends_is_told_of_and_started_again(tmp_path: Path) -> None:
    """Its log is continued, it gets a new record, and it is stopped at the end."""
    said: list[str] = []
    with Processes(tmp_path) as processes, Keeper(said.append) as keeper:
        child = processes.start(
            "child", [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
        )
        keeper.keep(child, lambda: child.log.read_text().count("1") > 1)
        first = child.pid
        assert _eventually(lambda: bool(child.log.read_text()))
        os.kill(first, signal.SIGKILL)
        assert _eventually(lambda: len(said) > 1)
        second = child.pid
        assert json.loads((tmp_path / "run" / "child.json").read_text())["pid"] == second != first
        assert not keeper.failed.is_set()
    assert "child ended (SIGKILL) and is being restarted" in said[0]
    assert str(child.log) in said[0]
    assert "child is ready again" in said[1]
    assert _gone(second)


def test_a_child_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    """This is reported, and its users are told to end."""
    said: list[str] = []
    with Processes(tmp_path) as processes, Keeper(said.append) as keeper:
        keeper.keep(processes.start("broken", [sys.executable, "-c", ""]), lambda: False)
        assert keeper.failed.wait(60)
    assert len(said) == MAX_DEATHS + 1
    assert f"broken ended {MAX_DEATHS + 1} times" in said[-1]


def test_children_have_a_session_of_their_own(tmp_path: Path) -> None:
    """Ctrl-C in the terminal reaches only us."""
    with Processes(tmp_path) as processes:
        assert os.getsid(processes.start("child", SLEEPER).pid) != os.getsid(0)


def test_the_guard_stops_the_children_of_a_killed_owner(tmp_path: Path) -> None:
    """After a SIGKILL of the owner its children end without another start."""
    owner, children, guard = _start_owner(tmp_path)
    _kill(owner)
    assert _eventually(lambda: all(_gone(pid) for pid in [*children, guard]))


def test_the_next_start_waits_for_the_guard_of_a_killed_owner(tmp_path: Path) -> None:
    """A start right after a SIGKILL succeeds, after the old children have ended."""
    owner, children, _ = _start_owner(tmp_path)
    _kill(owner)
    with Processes(tmp_path):
        assert all(_gone(pid) for pid in children)


def test_the_next_start_reaps_when_the_guard_was_killed_too(tmp_path: Path) -> None:
    """With owner and guard killed, the records are enough."""
    owner, children, guard = _start_owner(tmp_path)
    os.kill(guard, signal.SIGKILL)
    _kill(owner)
    assert not any(_gone(pid) for pid in children)
    with Processes(tmp_path):
        assert all(_gone(pid) for pid in children)
        assert not list((tmp_path / "run").glob("*.json"))


def test_a_second_start_leaves_the_first_alone(tmp_path: Path) -> None:
    """While an owner lives, a second one is refused, gets the address, and stops nothing."""
    owner, children, _ = _start_owner(tmp_path)
    try:
        with pytest.raises(
            AlreadyRunningError, match=rf"runs at http://127\.0\.0\.1:1 \(process {owner.pid}\)"
        ):
            Processes(tmp_path).__enter__()
        assert not any(_gone(pid) for pid in children)
    finally:
        _kill(owner)
    assert _eventually(lambda: all(_gone(pid) for pid in children))


def test_a_directory_can_be_used_again_after_closing(tmp_path: Path) -> None:
    """Closing releases the lock."""
    for _ in range(2):
        with Processes(tmp_path) as processes:
            processes.start("child", SLEEPER)


def test_nothing_starts_after_closing(tmp_path: Path) -> None:
    """A closed owner does not start children that nobody would stop."""
    with Processes(tmp_path) as processes:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        processes.start("late", SLEEPER)


def test_a_reused_process_id_is_not_killed(tmp_path: Path) -> None:
    """A record with another start time belongs to another process."""
    bystander = subprocess.Popen(SLEEPER)  # noqa: S603  # our own text
    try:
        record = {"name": "old", "pid": bystander.pid, "started": "another boot:1"}
        (tmp_path / "old.json").write_text(json.dumps(record))
        assert reap(tmp_path) == []
        assert bystander.poll() is None
        assert not list(tmp_path.iterdir())
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "1", "started": 2}'])
def test_an_unreadable_record_is_forgotten(tmp_path: Path, text: str) -> None:
    """An incomplete record stops nothing and is ignored."""
    (tmp_path / "torn.json").write_text(text)
    assert reap(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_start_time_tells_processes_apart() -> None:
    """A living process has a stable start time; a dead one, even a zombie, has none."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    first = start_time(child.pid)
    assert first is not None
    assert first == start_time(child.pid)
    child.stdin.close()
    assert _eventually(lambda: _gone(child.pid))
    child.wait()
    assert _gone(child.pid)


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="there is no ps here")
def test_start_time_by_ps_agrees() -> None:
    """The query for macOS works: a living process has a start time, a dead one has none."""
    assert orphans._start_time_ps(os.getpid()) == orphans._start_time_ps(os.getpid()) is not None
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert orphans._start_time_ps(child.pid) is None


def test_a_free_preferred_port_is_chosen() -> None:
    """The preferred port is used if possible."""
    free = ports.choose(0)
    assert ports.choose(free) == free


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # what others may do
def test_a_taken_port_is_avoided(host: str) -> None:
    """A port with a listener is not used."""
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        assert ports.is_open(port)
        assert ports.choose(port) not in {0, port}


def test_a_port_bound_without_listening_is_avoided() -> None:
    """A port that is bound but does not accept connections is not used either."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert ports.choose(taken.getsockname()[1]) != taken.getsockname()[1]
