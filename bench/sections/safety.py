"""The section of ``bench.simulation``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.markdown import number, table
from bench.sections import Section

FIGURES: Final = {
    "seeds": "worlds",
    "operations": "requests of clients",
    "reads": "reads among them",
    "virtual_hours": "hours that passed in them",
    "seconds": "seconds that it took",
    "faults_injected": "faults put in",
    "holes_voided": "holes voided",
    "violations": "violations",
}


def simulation(results: Mapping[str, Any]) -> Section:
    """What was lived through, how requests ended, and which faults there were."""
    outcomes = [
        (kind, ", ".join(f"{outcome} {number(count)}" for outcome, count in found.items()))
        for kind, found in results["outcomes"].items()
    ]
    return Section(
        [
            table(["", ""], [(said, results[name]) for name, said in FIGURES.items()]),
            table(["requests", "ended as"], outcomes),
            table(["fault", "times"], results["faults"].items()),
        ]
    )
