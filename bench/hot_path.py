"""Every route, from API Gateway's event to the answer: ``python -m bench.hot_path [--json] [--check]``.

Four parts, each in turns within one run, medians: a page from memory beside a floor and other people's caches
(``bench.hot_page``), every route by section (``bench.hot_routes``), posting and listing beside the raw calls that they
make (``bench.hot_calls``), and a page on the wire, compressed and not (``bench.hot_wire``).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from bench import hot_calls, hot_page, hot_routes, hot_wire
from bench.report import finish, parser

ROUNDS, BATCH = 80, 25


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args(arguments)
    rounds, batch = (2, 2) if options.tiny else (ROUNDS, BATCH)
    with _quiet_log():
        page = hot_page.measured(rounds, batch)
        _progress("page")
        wire = hot_wire.measured(rounds, batch)
        _progress("wire")
        routes = hot_routes.measured(max(2, rounds // 4), max(2, batch // 2))
        _progress("routes")
        calls = hot_calls.measured(rounds, tiny=options.tiny)
        _progress("calls")
    targets = hot_page.targets(page) | hot_wire.targets(wire) | hot_calls.targets(calls)
    texts = [hot_page.text(page), hot_wire.text(wire), hot_routes.text(routes), hot_calls.text(calls)]
    results = page | {"wire": wire, "routes": routes, "calls": calls}
    return finish(options, results, targets, "\n\n".join(texts))


def _progress(part: str) -> None:
    print(f"measured: {part}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """Log lines go where writing costs what a pipe costs and nobody reads them."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield


if __name__ == "__main__":
    sys.exit(main())
