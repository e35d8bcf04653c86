"""What `make fuzz` counts, and what it tells schemathesis; CI runs it for a moment."""

from __future__ import annotations

import json
import tomllib

from tests.chaos import fuzz


def test_requests_are_counted_by_status() -> None:
    """Each line of the gateway's log is a request, and nothing else is."""
    counts = fuzz.StatusCounts()
    for line in ("18:44:24 GET /v1/channels 200 3 ms id", "18:44:25 - - 400 0 ms id", "function: it failed"):
        counts(line)
    assert (counts.requests, dict(counts.statuses)) == (2, {"200": 1, "400": 1})


def test_the_configuration_is_what_it_says() -> None:
    """It is TOML, sends the token, names the channels, leaves out no check but those with a reason, takes no 5xx."""
    made = tomllib.loads(fuzz._configuration('a"b', ["c1"], ["m1"]))
    assert made["headers"] == {"Authorization": 'Bearer a"b'}
    assert made["dictionaries"]["channels"]["values"] == ["c1"]
    assert {name for name, each in made["checks"].items() if each.get("enabled") is False} == set(
        fuzz.NOT_APPLIED
    )
    for check in ("positive_data_acceptance", "negative_data_rejection"):
        assert not any(str(each).startswith("5") for each in made["checks"][check]["expected-statuses"])


def test_only_documented_statuses_refuse() -> None:
    """Each status that an invalid request may meet is in the document."""
    document = json.loads((fuzz.ROOT / "openapi.json").read_text(encoding="utf-8"))
    documented = {
        status
        for operations in document["paths"].values()
        for each in operations.values()
        for status in each["responses"]
    }
    assert {str(each) for each in fuzz.REFUSED} <= documented
