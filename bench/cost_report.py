"""What ``bench.cost`` must show, and how it says it to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.report import table

GOALS: Final = {"read": 2.00, "poll": 1.50, "post": 7.00}
"""Dollars a million, API Gateway and Lambda included; what is stated apart is not."""
APART: Final = ("egress", "logs", "traces")
SERVICES: Final = ("api_gateway", "lambda_requests", "lambda_seconds", "dynamodb")
Row = Mapping[str, Any]


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The goals; lists have none, see ``above_goal``."""
    shown = {
        f"{name}: at most ${GOALS[row['goal']]:.2f}": row["sum"] <= GOALS[row["goal"]]
        for name, row in results["operations"].items()
        if row["goal"] in GOALS
    }
    for day in results["days"]:
        users, kinds = f"{day['users']:,} users", day["kinds"]
        for what, dollars, goal in (
            ("a page as {} read them", kinds["page"]["sum"] + day["starts"], "read"),
            ("a read as {} make them, pages and lists", day["read"], "read"),
            ("a post as {} write them", kinds["post"]["sum"] + day["starts"], "post"),
        ):
            shown[f"{what.format(users)}: at most ${GOALS[goal]:.2f}"] = dollars <= GOALS[goal]
    every = [said for row in results["operations"].values() for said in row["engines"].values()]
    shown["the engines counted the units that AWS's rules give"] = all(said["agrees"] for said in every)
    return shown


def above_goal(operations: Mapping[str, Row]) -> dict[str, float]:
    """Lists that cost more than a read may."""
    return {
        name: row["sum"]
        for name, row in operations.items()
        if row["goal"] == "list" and row["sum"] > GOALS["read"]
    }


def text(results: Mapping[str, Any]) -> str:
    """Tables for a terminal."""
    return "\n\n".join(_parts(results))


def _parts(results: Mapping[str, Any]) -> Iterator[str]:
    header = ["$ a million", *SERVICES, "sum", "cautious", *APART, "all"]
    yield table(header, [[name, *_dollars(row)] for name, row in results["operations"].items()])
    figures = [
        "takes",
        "calls_ms",
        "own_ms",
        "wall_ms",
        "read_units",
        "write_units",
        "out_bytes",
        "log_bytes",
    ]
    rows = [
        [name, *(row["figures"][each] for each in figures[1:])] for name, row in results["operations"].items()
    ]
    yield table(figures, rows)
    forms = [
        [
            f"page {kind}, {coding}{'' if row['is_offered'] else ' (not offered)'}",
            row["body_bytes"],
            *_dollars(row)[-6:],
        ]
        for kind, codings in results["wire"].items()
        for coding, row in codings.items()
    ]
    yield table(["the wire", "body bytes", "sum", "cautious", *APART, "all"], forms)
    dear = [f"{name} ${dollars:.2f}" for name, dollars in results["above_goal"].items()]
    yield f"Lists above a read's ${GOALS['read']:.2f}: {', '.join(dear) or 'none'}"
    for day in results["days"]:
        rows = [[kind, *_dollars(row)] for kind, row in day["kinds"].items()]
        yield table([f"as {day['users']:,} users do", *header[1:]], rows)
        yield f"a read on average ${day['read']:.2f}, the ${day['starts']:.2f} of containers' starts in it"
    yield _redis(results)
    yield f"an active user's month: ${results['user_month']['dollars']:.4f}"
    yield table(["published", "$", "for", "read"], [_hosted(each) for each in results["hosted"]])


def _dollars(row: Row) -> list[str]:
    services = [row["dollars"][each] for each in SERVICES]
    every = (*services, row["sum"], row["cautious"], *row["apart"].values(), row["all"])
    return ["-" if each is None else f"{each:.2f}" for each in every]


def _redis(results: Mapping[str, Any]) -> str:
    rows = {name: row["redis"] for name, row in results["operations"].items() if "redis" in row}
    for day in results["days"]:
        rows |= {f"{kind}, {day['users']:,} users": day["kinds"][kind]["redis"] for kind in ("page", "list")}
    plans = list(next(iter(rows.values())))
    said = [
        [name, *("-" if row[each] is None else f"{row[each]:.2f}" for each in plans)]
        for name, row in rows.items()
    ]
    return table(["Redis, $ a million a month", *plans], said)


def _hosted(each: Row) -> list[str]:
    return [
        each["vendor"],
        "none found" if each["dollars"] is None else f"{each['dollars']:g}",
        each["unit"],
        each["read"],
    ]
