"""Faults as values, without an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from local.upstash.faults import FORMS, Fault, FaultError


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "nothing"},
        {"kind": "die", "form": "loudly"},
        {"kind": "latency", "ms": -1},
        {"kind": "hang", "probability": 2},
        {"kind": "hang", "times": 0},
        {"kind": "status", "status": 200},
        {"kind": "refuse", "seconds": 1e9},
    ],
)
def test_faults_check_their_numbers(fields: dict[str, Any]) -> None:
    """An invalid fault is refused at its construction."""
    with pytest.raises(FaultError):
        Fault(**fields)


def test_the_first_form_is_the_default() -> None:
    """The default form is the first one of the kind."""
    assert all(Fault(kind=kind).form == forms[0] for kind, forms in FORMS.items())
