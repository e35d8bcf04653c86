"""What a chat of a given size needs and costs a month: ``python -m operators.capacity --users 100``.

Based on costs per operation that ``bench.measure`` measured (``operators/measured.json``) and the prices of
``operators/prices.py`` and ``shared/domain/plans.py``; from Python: ``plan(Workload(users=100))``.
``--plot FILE.svg`` draws cost and quotas from 10 to 1,000,000 users; ``--free-tier`` prices 30 days of
``bench.cache``'s trace.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from operators import prices
from operators.capacity_plan import (
    BILLINGS,
    Measured,
    Report,
    Workload,
    guide,
    measured,
    of_trace,
    plan,
)
from operators.realtime_plan import Push
from shared.domain.plans import DAYS, GB, GUIDE, MIB, PLANS

USERS: Final = tuple(round(10 ** (1 + step / 8)) for step in range(41))
"""Of the chart: from 10 to 1,000,000, eight per decade."""
Series = Mapping[str, Sequence[tuple[int, float]]]


def text(report: Report, known: Measured) -> str:
    """The report as text for a terminal, with push and polling beside one another."""
    daily = sum(report.requests.values()) / DAYS
    use, theirs = report.redis, guide(report.workload.users)
    about = "measured" if report.is_measured else "beyond what was measured: at best to at worst"
    units = [_span(report, _of("amounts", name), "{:,.0f}") for name in _UNITS]
    rows = [
        ("requests a day", f"{daily:,.0f}"),
        (
            "  of them " + ", ".join(report.requests),
            ", ".join(f"{n / DAYS:,.0f}" for n in report.requests.values()),
        ),
        (
            "Redis commands a day",
            _span(report, lambda each: each.redis.commands_today, "{:,}")
            + f" (the guide: {theirs['redis_commands_a_day']:,})",
        ),
        (
            "Redis stored",
            f"{(use.stored_bytes or 0) / MIB:.1f} MB (the guide: {theirs['stored_bytes'] / 1e6:.0f} MB)",
        ),
        ("Redis moved a month", _span(report, lambda each: each.redis.moved_bytes / GB, "{:.2f}") + " GB"),
        ("hit rate", f"{_percent(use.hit_rate)} (the guide: 80 to 90 %)"),
        (
            "DynamoDB units a month",
            f"{units[0]} read, {units[1]} write",
        ),
        (
            "Lambda GB-s a month",
            f"{units[2]}, {units[3]} cold starts",
        ),
    ]
    if report.workload.pushes:
        rows += _push_rows(report.push)
    bill = [(name, _span(report, _of("dollars", name), "{:.2f}")) for name in report.dollars]
    whole = _span(report, lambda each: sum(each.dollars.values()), "{:.2f}")
    offers = [(name, _offer(report, name)) for name in PLANS]
    shares = [
        (
            name,
            _span(report, _of("quotas", name, 100), "{:.1f}") + " %",
            "" if used <= 1 else "exceeded",
        )
        for name, used in report.quotas.items()
    ]
    return "\n\n".join(
        [
            table([f"{report.workload.users:,} users", about], rows),
            table(["$ a month, AWS", ""], [*bill, ("all of AWS", whole)]) + f"\n({_billing(report)})",
            table(["$ a month, Redis on the plan", ""], offers),
            table(["of what is free", "used", ""], shares),
            "All of it, with the cheapest plan of today: $"
            + _span(report, lambda each: each.least, "{:,.2f}").replace(" to ", " to $")
            + " a month",
            table(["how open sessions get news", "requests a month", "frames", "$"], _beside(report, known)),
            _reading(report.workload),
        ]
    )


POLLS: Final = (3, 10, 30)
"""Seconds between polls that are shown beside push."""


def _push_rows(push: Push) -> list[tuple[str, str]]:
    live = push.live_messages * prices.WEBSOCKET_MESSAGE
    return [
        ("frames a month", f"{push.messages:,.0f}"),
        ("  of them live (typing, presence)", f"{push.live_messages:,.0f}, ${live:.2f}"),
        ("connection minutes a month", f"{push.minutes:,.0f}"),
        ("runs of realtime's functions a month", f"{push.invocations:,.0f}"),
    ]


def _beside(report: Report, known: Measured) -> list[tuple[str, ...]]:
    """The same workload with push, and with polling."""
    quiet = replace(report.workload, pushes=False, poll_seconds=None)
    ways = {
        "they read when something is opened": quiet,
        "push: Realtime=on": replace(quiet, pushes=True),
        **{f"they poll every {seconds} s": replace(quiet, poll_seconds=seconds) for seconds in POLLS},
    }
    rows = list[tuple[str, ...]]()
    for name, workload in ways.items():
        each = plan(workload, known)
        frames = f"{each.push.messages:,.0f}"
        dollars = _span(each, lambda one: one.least, "{:,.2f}")
        rows.append((name, f"{each.amounts['requests']:,.0f}", frames, dollars))
    return rows


_UNITS: Final = ("read_units", "write_units", "gb_seconds", "cold_starts")


def _span(report: Report, figure: Callable[[Report], float], form: str) -> str:
    """A figure; beyond what was measured its best and worst case, to two digits, as no more is known."""
    if report.bounds is None:
        return form.format(figure(report))
    low, high = (_two_digits(figure(each)) for each in report.bounds)
    return f"about {low}" if low == high else f"{low} to {high}"


def _of(part: str, name: str, times: float = 1) -> Callable[[Report], float]:
    """One of a report's amounts, dollars or quotas."""
    return lambda report: float(getattr(report, part)[name]) * times


def _two_digits(number: float) -> str:
    rounded = float(f"{number:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10 or rounded == 0 else f"{rounded:g}"  # noqa: PLR2004 - two digits


def _billing(report: Report) -> str:
    """How DynamoDB's units are billed here, and what the other way would cost."""
    is_enough = report.quotas["DynamoDB 25/25"] <= 1
    on_demand = _span(report, lambda each: each.on_demand, "{:.2f}")
    if report.workload.table_billing == "on-demand":
        other = "0.00" if is_enough else "too little: it would throttle"
        return (
            f"DynamoDB on demand, as the template deploys it: its units are {on_demand}; "
            f"with TableBilling=always-free {other}"
        )
    if is_enough:
        return (
            "DynamoDB with TableBilling=always-free; "
            f"its units on demand, as the template deploys it, would be {on_demand}"
        )
    return "DynamoDB on demand: TableBilling=always-free is too little for this, and would throttle"


def _reading(workload: Workload) -> str:
    """How clients get news, which determines the cost more than anything else."""
    if workload.pushes:
        return (
            f"Each session is connected for {workload.session_minutes:g} minutes; a post is told to "
            f"{workload.watching:.3g} connections (--watchers)."
        )
    if workload.poll_seconds is None:
        return (
            f"Each session reads {workload.lists:g} lists and {workload.pages:g} pages, when something is opened, and "
            "does not poll.\nIn detail: --push, or --poll-seconds 3"
        )
    return (
        f"Each session polls every {workload.poll_seconds:g} s for {workload.session_minutes:g} minutes; "
        "told over WebSockets instead: --push"
    )


def _percent(share: float | None) -> str:
    return "not measured, priced as none" if share is None else f"{share:.1%}"


def _offer(report: Report, name: str) -> str:
    price = report.plans[name]
    if price is not None:
        return f"{price:.2f}"
    return "exceeded: " + ", ".join(report.exceeded[name]) if report.exceeded[name] else "on request"


def free_tier(known: Measured) -> tuple[str, dict[str, bool]]:
    """30 days of ``bench.cache``'s trace on the free plans: the text, and the targets."""
    report = plan(of_trace(known), known)
    free = {name: report.plans[name] for name in ("free-daily", "free")}
    lines = [
        (f"Redis, plan {name}", "exceeded" if price is None else f"{price:.2f}")
        for name, price in free.items()
    ]
    lines += [(name, f"{cost:.2f}") for name, cost in report.dollars.items()]
    shown = {
        "Redis costs $0.00 on both free plans": all(price == 0 for price in free.values()),
        "DynamoDB costs $0.00 with the always-free 25/25 units": report.dollars["DynamoDB"] == 0,
        "all of it stays below a dollar": report.least < 1,
    }
    total = f"\nAll: ${report.least:.2f} a month"
    return table([f"30 days of bench.cache, {report.workload.users} users", "$"], lines) + total, shown


def draw(workload: Workload, known: Measured, to: Path) -> None:
    """Monthly dollars and shares of free quotas by number of users, as SVG; the legends say where each is exhausted."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.fonttype"] = "none"
    reports = [plan(replace(workload, users=users), known) for users in USERS]
    figure = Figure(figsize=(10, 11), layout="constrained")
    panels = zip(figure.subplots(2, 1), _panels(reports), strict=True)
    for axes, (title, series, ends) in panels:
        for name, points in series.items():
            label = f"{name}: ends at {ends[name]:,} users" if name in ends else name
            axes.loglog(*zip(*points, strict=True), label=label)
        axes.axvline(known.last, linestyle=":", color="grey", label=f"measured up to {known.last:,} users")
        axes.set(title=title, xlabel="users")
        axes.legend(fontsize="small")
    figure.savefig(to, format="svg", metadata={"Date": None})


def _panels(reports: Sequence[Report]) -> list[tuple[str, Series, Mapping[str, int]]]:
    """Title, series, and the smallest number of users that exceeds each."""
    costs = {"AWS": [(each.workload.users, sum(each.dollars.values())) for each in reports]}
    best = [(each.workload.users, sum(each.bounds[0].dollars.values())) for each in reports if each.bounds]
    if best:
        costs["AWS at best"] = best
    for plan_name in PLANS:
        priced = [(each.workload.users, price) for each in reports if (price := each.plans[plan_name])]
        if priced:
            costs[_called(plan_name)] = priced
    shares = {
        name: [(each.workload.users, 100 * each.quotas[name]) for each in reports]
        for name in reports[0].quotas
    }
    plan_ends, quota_ends = dict[str, int](), dict[str, int]()
    for each in reports:
        for name in (name for name, limits in each.exceeded.items() if limits):
            plan_ends.setdefault(_called(name), each.workload.users)
        for name in (name for name, used in each.quotas.items() if used > 1):
            quota_ends.setdefault(name, each.workload.users)
    return [("Dollars a month", costs, plan_ends), ("Per cent of what is free", shares, quota_ends)]


def _called(plan_name: str) -> str:
    guide_too = PLANS[plan_name] in GUIDE and "guide" not in plan_name
    return f"Redis, {plan_name}{' (guide)' if guide_too else ''}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns, the first aligned left, the others right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what a chat of a given size needs and costs a month."""
    options = _parser().parse_args(arguments)
    known = measured()
    if options.free_tier:
        said, shown = free_tier(known)
        print(said, *(f"{'ok    ' if held else 'MISSED'} {each}" for each, held in shown.items()), sep="\n")
        return int(options.check and not all(shown.values()))
    given = {name: value for name in Workload.__slots__ if (value := getattr(options, name)) is not None}
    workload = replace(Workload(), **given)
    if options.plot:
        try:
            draw(workload, known, options.plot)
        except OSError as error:
            print(f"capacity: {options.plot} cannot be written: {error.strerror}", file=sys.stderr)
            return 2
        print(f"wrote {options.plot}", file=sys.stderr)
    report = plan(workload, known)
    print(json.dumps(asdict(report) | {"least": report.least}) if options.json else text(report, known))
    return 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m operators.capacity", description=main.__doc__)
    for name, default in asdict(Workload()).items():
        if isinstance(default, (str, bool)):
            continue
        kind = int if isinstance(default, int) and name in {"users", "months_kept"} else float
        made.add_argument(f"--{name.replace('_', '-')}", type=_positive(kind), help=f"default: {default}")
    made.add_argument(
        "--table-billing", choices=BILLINGS, help=f"as the template's TableBilling; default: {BILLINGS[0]}"
    )
    made.add_argument(
        "--push",
        dest="pushes",
        action="store_true",
        help="open sessions are told over WebSockets: the template's Realtime",
    )
    made.add_argument(
        "--plot", type=_svg, metavar="FILE.svg", help="draw cost and quotas from 10 to 1,000,000 users"
    )
    made.add_argument("--free-tier", action="store_true", help="30 days of bench.cache on the free plans")
    made.add_argument("--json", action="store_true", help="one line of JSON")
    made.add_argument("--check", action="store_true", help="with --free-tier: exit with 1 if it is not free")
    return made


def _svg(name: str) -> Path:
    if not name.endswith(".svg"):
        raise argparse.ArgumentTypeError(f"{name}: the chart is an SVG; name it .svg")
    return Path(name)


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def parsed(given: str) -> float:
        number = kind(given)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{given} is not above 0")
        return number

    return parsed


if __name__ == "__main__":
    sys.exit(main())
