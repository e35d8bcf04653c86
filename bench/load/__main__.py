"""Requests a second and latencies under load: ``python -m bench.load [--json] [--check] [--tiny]``.

Real handlers behind the local gateway, over the engines of `make run`: Budgie; the same endpoints written the usual way
(``bench.usual``); and constant answers, which show what gateway, wire and client cost both. Each has a process of its
own with the same gateway, token checks and log lines; they share the engines, and are loaded by turns. Two forms: reads
of pages of 50 messages, nearly all of the latest page of one of 20 channels; and 90 such reads to 9 posts and 1 list.

Requests a second are medians over the rounds, how many times the usual way's is the median of what each round shows.
One process plays all containers here and Python computes in one thread at a time, so with several clients requests a
second say how much processor time a request takes, and latencies how long the queue is. These containers also share
one memory: on Lambda each of them reads for itself what was posted.
"""

from __future__ import annotations

import sys

from bench.load.contest import FULL, TINY, Turn, installed, opened
from bench.load.result import rate, summed_up, targets, text
from bench.report import finish, parser
from local.dynamodb import ENGINES, default_engine


def main() -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    options = parser(main.__doc__ or "")
    options.add_argument("--engine", choices=ENGINES, default=default_engine(), help="default: %(default)s")
    options.add_argument(
        "--accept-encoding", default="identity", help="what clients accept; default: %(default)s"
    )
    arguments = options.parse_args()
    plan = TINY if arguments.tiny else FULL
    names, turns = installed(), []
    print(f"starting {arguments.engine} and {len(names)} gateways", file=sys.stderr, flush=True)
    with opened(names, plan, arguments.engine, arguments.accept_encoding) as contest:
        for turn in contest.run():
            turns.append(turn)
            print(_progress(turn), file=sys.stderr, flush=True)
        page_bytes = contest.page_bytes
    results = {
        "engine": arguments.engine,
        "accept_encoding": arguments.accept_encoding,
        "page_bytes": {name: round(size) for name, size in page_bytes.items()},
        **summed_up(plan, names, turns),
    }
    return finish(arguments, results, targets(results), text(results))


def _progress(turn: Turn) -> str:
    return f"{turn.form}, {turn.clients} clients, {turn.contender}: {rate(turn):,.0f}/s"


if __name__ == "__main__":
    sys.exit(main())
