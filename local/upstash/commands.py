"""Runs commands for the local Upstash endpoint, with Upstash's refusals and billing.

The Redis server itself (`COMMAND`) says which commands write, block or need memory. A script's commands are counted
exactly: it runs in a transaction between two reads of the server's own command counters, so that no other client's
commands fall in between. On a server without such counters a script counts as one.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final, Self

from local.upstash.faults import CAPACITY, Faults
from local.upstash.resp import Command, Connection, Failure, Pool, Reply
from local.upstash.usage import FREE, UsageCounter, billed

SCRIPTS: Final = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})
# Commands of a connection, or of server administration: not available over REST.
UNSUPPORTED: Final = frozenset(
    (  # noqa: SIM905 - as a list, one word a line, it would take 45 lines
        "WATCH UNWATCH MULTI EXEC DISCARD SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE "
        "MONITOR AUTH HELLO SELECT QUIT RESET CLIENT ASKING READONLY READWRITE CLUSTER CONFIG DEBUG SHUTDOWN "
        "REPLICAOF SLAVEOF FAILOVER SYNC PSYNC REPLCONF MIGRATE MODULE SAVE BGSAVE BGREWRITEAOF SWAPDB MOVE "
        "LATENCY SLOWLOG"
    ).split()
)
_BLOCKING_ON_REQUEST: Final = frozenset({"XREAD", "XREADGROUP"})  # only if their arguments contain BLOCK
_NOT_READ_ONLY: Final = frozenset({"SCAN", "KEYS"})  # reads that the read-only token may not run
_ALWAYS_READABLE: Final = frozenset({"PING", "ECHO"})
_LOOK: Final = (b"INFO", b"commandstats")
_CALLS: Final = re.compile(rb"^cmdstat_([^:|]+)[^:]*:calls=(\d+)", re.MULTILINE)


def name_of(command: Command) -> str:
    """A command's name in capitals."""
    return command[0].decode(errors="replace").upper()


@dataclasses.dataclass(frozen=True, slots=True)
class CommandTable:
    """What the server says about its commands: sets of names in capitals, and whether it counts commands."""

    reads: frozenset[str]
    writes: frozenset[str]
    grows: frozenset[str]
    blocks: frozenset[str]
    counts: bool

    @classmethod
    def ask(cls, connection: Connection) -> Self:
        """Read them from the server.

        Raises:
            OSError: The server is unreachable.
        """
        rows, counters = connection.run_all([[b"COMMAND"], _LOOK])
        flags = dict(_flags(row) for row in rows) if isinstance(rows, list) else {}

        def flagged(flag: bytes) -> frozenset[str]:
            return frozenset(name for name, has in flags.items() if flag in has)

        grows = flagged(b"denyoom") | (SCRIPTS - {"EVAL_RO", "EVALSHA_RO", "FCALL_RO"})
        return cls(
            reads=flagged(b"readonly"),
            writes=flagged(b"write"),
            grows=grows,
            blocks=flagged(b"blocking"),
            counts=bool(_calls(counters)),
        )


class Executor:
    """Runs clients' commands on one server; thread-safe.

    Every method that runs commands raises OSError if the server is unreachable.
    """

    def __init__(self, pool: Pool, faults: Faults, usage: UsageCounter) -> None:
        self._pool = pool
        self._faults = faults
        self._usage = usage
        self._lock = threading.Lock()
        self._table: CommandTable | None = None
        self._writes = 0

    def sync_token(self) -> str:
        """An opaque string that changes with every write through this endpoint."""
        with self._lock:
            return f"{self._writes:x}"

    def single(self, command: Command, *, read_only: bool) -> Reply:
        """Run one command."""
        error = self._refusal([command], read_only=read_only)
        if error:
            return Failure(error)
        if name_of(command) in SCRIPTS and self._known().counts:
            replies = self._run_together([command], measured=True)
            return replies if isinstance(replies, Failure) else replies[0]
        with self._pool.borrow() as connection:
            reply = connection.run(*command)
        self._count(Counter([name_of(command)]))
        return _as_upstash(reply)

    def pipeline(self, commands: Sequence[Command], *, read_only: bool) -> list[Reply]:
        """Run commands one after the other; each has its own reply or failure."""
        return [self.single(command, read_only=read_only) for command in commands]

    def transaction(self, commands: Sequence[Command], *, read_only: bool) -> list[Reply] | Failure:
        """Run commands as one transaction; after a failure none of them has run."""
        error = self._refusal(commands, read_only=read_only)
        if error:
            return Failure(error)
        scripted = any(name_of(command) in SCRIPTS for command in commands)
        return self._run_together(commands, measured=scripted and self._known().counts)

    def subscription(self) -> Connection:
        """A separate connection without a time limit, for a subscriber; the caller closes it."""
        self._count(Counter(["SUBSCRIBE"]))
        return Connection(self._pool.host, self._pool.port, timeout=None)

    def _run_together(self, commands: Sequence[Command], *, measured: bool) -> list[Reply] | Failure:
        body = [_LOOK, *commands, _LOOK] if measured else list(commands)
        with self._pool.borrow() as connection:
            *queued, outcome = connection.run_all([[b"MULTI"], *body, [b"EXEC"]])
        if not isinstance(outcome, list):
            reasons = [reply.text for reply in queued if isinstance(reply, Failure)]
            return Failure(
                f"EXECABORT Transaction discarded because of: {reasons[0]}" if reasons else str(outcome)
            )
        ran = Counter(map(name_of, commands))
        if measured:
            before, *outcome, after = outcome
            ran = _calls(after) - _calls(before) - Counter(["INFO"])  # the first read is in the second reply
        self._count(ran)
        return [_as_upstash(reply) for reply in outcome]

    def _refusal(self, commands: Sequence[Command], *, read_only: bool) -> str | None:
        table = self._known()
        names = [name_of(command) for command in commands]
        for name, command in zip(names, commands, strict=True):
            if name in UNSUPPORTED or _would_block(name, command, table):
                return (
                    f"ERR Command is not available: '{name}'. "
                    "See https://upstash.com/docs/redis/overall/rediscompatibility for details"
                )
            if read_only and not _readable(name, table):
                return f"NOPERM this user has no permissions to run the '{name.lower()}' command"
        return self._faults.refusal((name not in FREE, name in table.grows) for name in names)

    def _known(self) -> CommandTable:
        with self._lock:
            if self._table is None:
                with self._pool.borrow() as connection:
                    self._table = CommandTable.ask(connection)
            return self._table

    def _count(self, ran: Counter[str]) -> None:
        self._usage.ran(ran)
        self._faults.charge(billed(ran))
        if not self._known().writes.isdisjoint(ran):
            with self._lock:
                self._writes += 1


def _flags(row: Reply) -> tuple[str, frozenset[Reply]]:
    match row:
        case [bytes(name), _, list(flags), *_]:
            return name.decode().upper(), frozenset(flag for flag in flags if isinstance(flag, bytes))
    return "", frozenset()


def _calls(counters: Reply) -> Counter[str]:
    """Runs of each command so far; a subcommand such as config|get counts as its command."""
    found: Counter[str] = Counter()
    if isinstance(counters, bytes):
        for name, calls in _CALLS.findall(counters):
            found[name.decode().upper()] += int(calls)
    return found


def _would_block(name: str, command: Command, table: CommandTable) -> bool:
    if name in _BLOCKING_ON_REQUEST:
        options = itertools.takewhile(lambda word: word != b"STREAMS", map(bytes.upper, command))
        return b"BLOCK" in options
    return name in table.blocks


def _readable(name: str, table: CommandTable) -> bool:
    return name in _ALWAYS_READABLE or (name in table.reads and name not in _NOT_READ_ONLY)


def _as_upstash(reply: Reply) -> Reply:
    """Redis has an error code for full memory, Upstash a text."""
    if isinstance(reply, Failure) and reply.text.partition(" ")[0] == "OOM":
        return Failure(CAPACITY)
    return reply
