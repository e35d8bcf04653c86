"""Writers and readers as processes, one request at a time each, as Lambda's containers are.

They are forked from a server that has imported everything, once for the whole run, and keep their client and its
connection from shift to shift, as warm containers do.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Final

from bench.contending import readers, writers
from bench.contending.faults import Injector
from bench.contending.shift import WRITE, Shift, Tally
from bench.contending.tolled import TolledClient
from local.dynamodb import CREDENTIALS, REGION
from shared.aws.connect import dynamodb_client
from shared.aws.protocol import AwsClient
from shared.services import Services, compose
from shared.settings import Settings
from shared.store.dynamodb import DynamoDBStore

FASTEST: Final = 1_000
"""Messages a second that a writer may post, and at once: so many that no rate limit is met."""
READ_TIMEOUT_MS: Final = 10_000
"""For Budgie and for its bare calls: 64 writers on two processors wait long for their turn, and a call that is given
up and sent again would be counted twice."""
LONGEST_SECONDS: Final = 300
"""A shift with all its retries takes less."""


def settings(url: str) -> Settings:
    """Of writers and readers alike."""
    return Settings(
        dynamodb_endpoint_url=url,
        dynamodb_read_timeout_ms=READ_TIMEOUT_MS,
        rate_per_second=FASTEST,
        rate_burst=FASTEST,
    )


def use_local_credentials() -> None:
    """What botocore calls an engine with, for this process and those that it starts."""
    os.environ.update({**CREDENTIALS, "AWS_DEFAULT_REGION": REGION})


class Crew:
    """Processes that work shifts side by side."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def work(self, shifts: Sequence[Shift]) -> list[Tally]:
        """One process for each shift; their tallies, in the order of the shifts.

        Raises:
            RuntimeError: a process failed, or took too long; the text says how.
        """
        used = self._pipes[: len(shifts)]
        for pipe, shift in zip(used, shifts, strict=True):
            pipe.send(shift)
        tallies = [_received(pipe) for pipe in used]
        failed = [each for each in tallies if isinstance(each, str)]
        if failed:
            raise RuntimeError(failed[0])
        return [each for each in tallies if isinstance(each, Tally)]


@contextlib.contextmanager
def crew(url: str, size: int) -> Iterator[Crew]:
    """So many processes on the engine at ``url``, ended with this context."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.contending.crew", "boto3"])
    pipes, processes = [], []
    try:
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, url), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:
            _received(pipe)
        yield Crew(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(5)
            process.kill()


def _received(pipe: Connection) -> object:
    if not pipe.poll(LONGEST_SECONDS):
        return f"a process said nothing for {LONGEST_SECONDS} s"
    return pipe.recv()


def serve(pipe: Connection, url: str) -> None:
    """A process's life: a client, then shifts until the pipe is closed."""
    use_local_credentials()
    made = settings(url)
    client = dynamodb_client(made)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123 - log lines go where nobody reads them
        pipe.send("ready")
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while True:
                pipe.send(_worked(pipe.recv(), client, made))


def _worked(shift: Shift, client: AwsClient, made: Settings) -> Tally | str:
    try:
        return work(shift, client, made)
    except Exception as error:  # noqa: BLE001 - it is raised again in the process that asked
        return f"{shift.side} {shift.does} {shift.user}: {type(error).__name__}: {error}"


def work(shift: Shift, client: AwsClient, made: Settings) -> Tally:
    """Works one shift in this process."""
    tally = Tally()
    tolled = TolledClient(client, Injector(shift.rates, f"{shift.seed} {shift.user}"))
    services = services_on(tolled, made)
    poster = writers.poster(shift, services, tolled, tally) if shift.does == WRITE else None
    poller = None if poster else readers.poller(shift, services, tolled, tally)
    time.sleep(max(0.0, shift.begins - time.monotonic()))
    started = time.process_time()
    if poster:
        writers.write(poster, shift, tally)
    elif poller:
        readers.read(poller, shift, tally)
    tally.cpu_seconds = time.process_time() - started
    tally.counts, tally.holes = tolled.counts, tolled.holes
    return tally


def services_on(client: AwsClient, made: Settings) -> Services:
    """Services as a container has them, over a client."""
    return compose(made, DynamoDBStore(client, made.table_name))
