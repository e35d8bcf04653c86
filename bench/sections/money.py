"""The sections of ``bench.cost`` and ``bench.day``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench import plot
from bench.cost_report import APART, GOALS
from bench.markdown import money, number, table
from bench.sections import Section

SERVICES: Final = {
    "api_gateway": "API Gateway",
    "lambda_requests": "Lambda requests",
    "lambda_seconds": "Lambda time",
    "dynamodb": "DynamoDB",
}
DOLLARS: Final = (*SERVICES.values(), "sum", "at a slow processor", *APART, "all")
FIGURES: Final = {
    "calls_ms": "calls, ms",
    "own_ms": "own work, ms",
    "wall_ms": "here, ms",
    "read_units": "read units",
    "write_units": "write units",
    "out_bytes": "bytes out",
    "log_bytes": "log bytes",
}
Row = Mapping[str, Any]


def cost(results: Mapping[str, Any]) -> Section:
    """Dollars a million by service; the wire; days of users; Redis by plan; hosted chats."""
    operations = results["operations"]
    goals = {name: GOALS[row["goal"]] for name, row in operations.items() if row["goal"] in GOALS}
    stacks = {
        name: {SERVICES[each]: row["dollars"][each] for each in SERVICES} for name, row in operations.items()
    }
    chart = plot.bars("Dollars a million, a goal as a black line", stacks, "${:.2f}", goals)
    return Section(list(_cost(results)), {"cost.svg": chart})


def _cost(results: Mapping[str, Any]) -> Iterator[str]:
    operations = results["operations"]
    yield table(["$ a million", *DOLLARS], [[name, *_dollars(row)] for name, row in operations.items()])
    dear = ", ".join(f"{name} ({money(dollars)})" for name, dollars in results["above_goal"].items())
    yield f"Lists, which have no goal, that cost more than a read's {money(GOALS['read'])}: {dear or 'none'}."
    rows = [[name, *(row["figures"][each] for each in FIGURES)] for name, row in operations.items()]
    yield table(["takes", *FIGURES.values()], rows)
    yield "A page on the wire, by what the client accepts:"
    yield table(["page", "bytes", "sum", *APART, "all"], _wire(results["wire"]))
    for day in results["days"]:
        rows = [[kind, *_dollars(row)] for kind, row in day["kinds"].items()]
        yield table([f"as {number(day['users'])} users do", *DOLLARS], rows)
        average, starts = money(day["read"]), money(day["starts"])
        yield f"A read on average, pages and lists, is {average}, the {starts} of containers' starts in it."
    yield table(["Redis, $ a month of a million", *_plans(results)], _redis(results))
    month = results["user_month"]
    asked = ", ".join(f"{number(count)} {kind}" for kind, count in month["requests"].items() if count)
    yield f"An active user's month ({asked}) comes to ${month['dollars']:.4f}, all of it counted. Published by others:"
    yield table(["list price", "$", "of", "read from", "on", ""], map(_hosted, results["hosted"]))


def _dollars(row: Row) -> list[str]:
    services = [row["dollars"][each] for each in SERVICES]
    apart = [row["apart"][each] for each in APART]
    return [money(each) for each in (*services, row["sum"], row["cautious"], *apart, row["all"])]


def _wire(found: Mapping[str, Mapping[str, Row]]) -> Iterator[list[object]]:
    for kind, codings in found.items():
        for coding, row in codings.items():
            offered = "" if row["is_offered"] else ", which is not offered"
            apart = (money(row["apart"][each]) for each in APART)
            yield [
                f"{kind}, {coding}{offered}",
                row["body_bytes"],
                money(row["sum"]),
                *apart,
                money(row["all"]),
            ]


def _rows_with_redis(results: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    found = {name: row["redis"] for name, row in results["operations"].items() if "redis" in row}
    for day in results["days"]:
        for kind in ("page", "list"):
            found[f"{kind}, {number(day['users'])} users"] = day["kinds"][kind]["redis"]
    return found


def _plans(results: Mapping[str, Any]) -> list[str]:
    return list(next(iter(_rows_with_redis(results).values())))


def _redis(results: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in _rows_with_redis(results).items():
        yield [name, *("not allowed" if row[each] is None else money(row[each]) for each in _plans(results))]


def _hosted(each: Row) -> list[str]:
    dollars = "none found" if each["dollars"] is None else f"${number(each['dollars'])}"
    return [each["vendor"], dollars, each["unit"], each["source"], each["read"], each["note"]]


def day(results: Mapping[str, Any]) -> Section:
    """Strategies side by side, for each number of users."""
    blocks, plots = [], {}
    for found in results["days"]:
        strategies = {name: row for name, row in found.items() if name != "users"}
        rows = [[label, *map(figure, strategies.values())] for label, figure in DAY.items()]
        blocks.append(table([f"{number(found['users'])} users", *strategies], rows))
        commands = {name: {"commands": float(row["redis_commands"])} for name, row in strategies.items()}
        title = f"Redis commands a day of {number(found['users'])} users"
        plots[f"day-{found['users']}.svg"] = plot.bars(title, commands, "{:,.0f}")
    return Section(blocks, plots)


DAY: Final[Mapping[str, Any]] = {
    "Redis commands": lambda row: row["redis_commands"],
    "hit rate": lambda row: f"{row['hit_rate']['all']:.1%}",
    "hit rate of pages": lambda row: f"{row['hit_rate']['pages']:.1%}",
    "hit rate of lists": lambda row: f"{row['hit_rate']['channels']:.1%}",
    "stale pages": lambda row: row["stale_pages"],
    "stale lists": lambda row: row["stale_lists"],
    "read units": lambda row: row["read_units"],
    "write units": lambda row: row["write_units"],
    "bytes stored": lambda row: row["stored_bytes"],
    "containers started": lambda row: row["cold_starts"],
    "a read, p50 ms": lambda row: row["read_ms"]["p50"],
    "a read, p99 ms": lambda row: row["read_ms"]["p99"],
    "$ a month": lambda row: money(row["dollars_a_month"]["all"]),
}
"""The table's lines, and where each is in a strategy's result."""
