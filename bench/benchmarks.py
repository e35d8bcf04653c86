"""The benchmarks of the report, in its order: what each is run with, what it shows, and how its result is set out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.markdown import nested
from bench.sections import Section
from bench.sections.growth import growth
from bench.sections.money import cost, day
from bench.sections.safety import simulation
from bench.sections.speed import cold_start, contention, hot_path, load

Render = Callable[[Mapping[str, Any]], Section]


def as_it_is(results: Mapping[str, Any]) -> Section:
    """Every figure, in tables of tables."""
    return Section(
        nested({name: value for name, value in results.items() if name not in {"targets", "bench"}})
    )


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of the report.

    Attributes:
        title: Its heading.
        shows: What it shows, in a sentence or two without a figure.
        render: Sets its result out.
        arguments: What it is run with, beside ``--json``.
    """

    title: str
    shows: str
    render: Render = as_it_is
    arguments: tuple[str, ...] = ()


BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    "cold_start": Benchmark(
        "Cold starts",
        "From the start of a process to its first answer, the first call of DynamoDB included: each function as it is "
        "deployed, beside a bare handler, a FastAPI route that does nothing, and the same endpoint written the usual "
        "way.",
        cold_start,
    ),
    "hot_path": Benchmark(
        "The hot path",
        "What a request costs in a warm container, from API Gateway's event to the answer: Budgie beside the floor, "
        "which is the same framework doing nothing, and beside the same endpoint over other caches.",
        hot_path,
    ),
    "load": Benchmark(
        "Under load",
        "Requests a second and latencies over the local gateway with the real handlers, beside the same endpoints "
        "written the usual way and beside constant answers, which show what gateway and wire cost all of them.",
        load,
    ),
    "contention": Benchmark(
        "Many writers, one channel",
        "Posts to one channel by ever more writers, with and without readers that poll and with faults put in, each "
        "round beside the same calls of DynamoDB without Budgie: the engine's own limit.",
        contention,
    ),
    "growth": Benchmark(
        "As a chat grows",
        "Whether pages and posts cost the same however long a channel is, however many members it has and however many "
        "channels their caller is in; and how a list of channels grows with the channels that are on it.",
        growth,
    ),
    "cost": Benchmark(
        "What it costs",
        "Dollars for each million of an operation, by service, nothing free taken off. Calls are the milliseconds of "
        "DynamoDB and Redis as the capacity planner counts them; own work is the processor's on this machine; the slow "
        "processor is the least share of one that Lambda gives a function of this memory. Egress, logs and traces are "
        "in none of the sums but the last.",
        cost,
    ),
    "day": Benchmark(
        "A day of a chat",
        "The same requests of a day through the real handlers with different caches before the same storage: none, the "
        "usual one with a time to live and `DEL`, ours, and ours with a key for each value. What is stale is counted.",
        day,
    ),
    "simulation": Benchmark(
        "Under faults",
        "Many small worlds, each from a seed, in which containers die, DynamoDB fails and Redis lies; every answer is "
        "judged against what was acknowledged.",
        simulation,
    ),
    "codec": Benchmark("Codecs", "What compressing a page and a bundle saves, and how long it takes."),
    "sealing": Benchmark(
        "Encrypted bundles",
        "What the encryption of cached values adds to a fresh process, to packing and unpacking a bundle, to its bytes "
        "and to the artifact that is deployed.",
        arguments=("--artifacts",),
    ),
    "memory": Benchmark(
        "The memory tier",
        "Whether what the cache holds in memory keeps to its bound, by its own count and by Python's.",
    ),
    "connections": Benchmark(
        "Connections to Redis",
        "How many connections many containers open to Redis under load, and leave open after it.",
    ),
}
