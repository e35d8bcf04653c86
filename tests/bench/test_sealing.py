"""What encrypting cached values adds, as it is measured."""

from __future__ import annotations

from typing import Any

import pytest

from bench.sealing import _targets
from tests.bench.running import tiny


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """A run of a moment."""
    return tiny("bench.sealing")


def test_a_seal_adds_the_same_bytes_to_every_bundle(found: dict[str, Any]) -> None:
    """A nonce and a tag, before base64."""
    assert {each["added_before_base64"] for each in found["bytes"].values()} == {28}
    assert all(0 < each["clear"] < each["sealed"] <= each["clear"] + 40 for each in found["bytes"].values())


def test_only_who_seals_loads_the_library(found: dict[str, Any]) -> None:
    """Of the two kinds of process, the one without a secret is free of it."""
    loading = found["loading"]
    assert loading["library_loaded"] == {"without": False, "with": True}
    assert all(loading[kind][each] > 0 for kind in ("without", "with") for each in ("wall_ms", "cpu_ms"))


def test_shares_are_of_what_was_measured(found: dict[str, Any]) -> None:
    """Sealing beside packing, opening beside unpacking."""
    times = found["bundle"]
    assert times["seal_of_pack"] == round(times["seal_us"] / times["pack_us"], 3) > 0
    assert times["open_of_unpack"] == round(times["open_us"] / times["unpack_us"], 3) > 0


def test_each_target_can_be_missed(found: dict[str, Any]) -> None:
    """A slow seal, one that adds more, a library that everybody loads, an artifact of three times the size."""
    good = {
        "loading": found["loading"],
        "bundle": {"seal_of_pack": 0.1, "open_of_unpack": 0.1},
        "bytes": found["bytes"],
        "artifact": {"without": {"zipped_mb": 8.0}, "with": {"zipped_mb": 13.0}},
    }
    bad = {
        "loading": {"library_loaded": {"without": True, "with": True}},
        "bundle": {"seal_of_pack": 0.4, "open_of_unpack": 0.4},
        "bytes": {"bundle of 1": {"added_before_base64": 29}},
        "artifact": {"without": {"zipped_mb": 8.0}, "with": {"zipped_mb": 24.0}},
    }
    assert list(_targets(good).values()) == [True] * 5
    assert list(_targets(bad).values()) == [False] * 5
