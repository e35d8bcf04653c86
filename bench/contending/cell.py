"""A cell of the result: so many writers, with or without readers and faults, through Budgie or by bare calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.contending.faults import Rates
from bench.contending.judge import Verdict
from bench.contending.shift import Tally
from bench.report import summary


@dataclass(frozen=True, slots=True)
class Setup:
    """What a cell is made of; ``weather`` names its faults."""

    writers: int
    readers: int
    weather: str
    rates: Rates


@dataclass
class Cell:
    """What its rounds came to, added up."""

    setup: Setup
    side: str
    seconds: float = 0.0
    by_writer: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Posts a second of each round."""
    counts: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    holes: int = 0
    voids: int = 0
    writers_cpu: float = 0.0
    engine_cpu: float = 0.0
    faults: list[str] = field(default_factory=list)
    """What the judge of the logs found."""

    def add(
        self, seconds: float, writers: Sequence[Tally], readers: Sequence[Tally], verdict: Verdict
    ) -> None:
        """One round's window of so many seconds."""
        self.seconds += seconds
        self.rates.append(sum(len(tally.milliseconds) for tally in writers) / seconds)
        for i, tally in enumerate(writers):
            self.by_writer[i] += len(tally.milliseconds)
            self.milliseconds += tally.milliseconds
            self.counts += tally.counts
            self.acknowledged += len(tally.acknowledged)
            self.unknown += len(tally.unknown)
            self.refused += tally.refused
            self.writers_cpu += tally.cpu_seconds
        self.holes += len(set().union(*(tally.holes for tally in readers)))
        self.voids += verdict.voids
        self.faults += verdict.faults

    def result(self) -> dict[str, Any]:
        """Figures for people and plots."""
        posts = sum(self.by_writer.values())
        latency = summary(self.milliseconds or [0.0])
        return {
            "side": self.side,
            "writers": self.setup.writers,
            "readers": self.setup.readers,
            "weather": self.setup.weather,
            "posts": posts,
            "posts_per_second": round(posts / self.seconds, 1),
            "posts_per_second_by_round": [round(rate, 1) for rate in self.rates],
            "p50_ms": latency["p50"],
            "p99_ms": latency["p99"],
            "p99_of_p50": round(latency["p99"] / latency["p50"], 2) if latency["p50"] else None,
            "slowest_writer_of_mean": self._slowest(posts),
            "takes_per_post": self._each("takes"),
            "commits_per_post": self._each("commits"),
            "write_units_per_post": self._each("write_units"),
            "writer_cpu_ms_per_post": self._cpu(self.writers_cpu),
            "engine_cpu_ms_per_post": self._cpu(self.engine_cpu),
            "answers_503": self.refused,
            "given_up": self.unknown,
            "holes_met": self.holes,
            "voids": self.voids,
            "voids_of_posts": round(self.voids / max(1, self.acknowledged), 5),
            "faults_injected": self.counts["faults"],
            "log_faults": self.faults[:5],
        }

    def _cpu(self, seconds: float) -> float:
        return round(1000 * seconds / max(1, self.acknowledged), 2)

    def _each(self, name: str) -> float:
        return round(self.counts[name] / max(1, self.acknowledged), 3)

    def _slowest(self, posts: int) -> float:
        fewest = min(self.by_writer[i] for i in range(self.setup.writers))
        return round(fewest * self.setup.writers / posts, 2) if posts else 0.0
