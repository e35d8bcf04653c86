"""What compressing and encrypting cached values saves and takes, in a form of a moment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import codec
from tests.running import tiny


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """A run of a moment."""
    return tiny("bench.codec")


def test_all_codecs_are_compared(found: dict[str, Any]) -> None:
    """On both kinds of page; and what a bundle takes."""
    for kind in ("pages_as_written", "large_page"):
        assert set(found[kind]["codecs"]) == set(codec.CODECS)
    assert 0 < found["bundle"]["zstd"]["stored_bytes"] < found["bundle"]["raw_bytes"]
    assert found["setting"] in codec.CODECS


def test_encryption_adds_the_same_bytes_to_every_bundle(found: dict[str, Any]) -> None:
    """A nonce and a tag, before base64."""
    sizes = found["sealing"]["bytes"].values()
    assert {each["added_before_base64"] for each in sizes} == {28}
    assert all(0 < each["clear"] < each["sealed"] <= each["clear"] + 40 for each in sizes)


def test_only_who_encrypts_loads_the_library(found: dict[str, Any]) -> None:
    """Of the two kinds of process, the one without a secret is free of it."""
    assert found["sealing"]["loading"]["library_loaded"] == {"without": False, "with": True}


def results(**changes: Any) -> dict[str, Any]:
    """Results that reach every target, but for some changes."""
    figures = {
        "ours": 10.0,
        "peer": 100.0,
        "saved": 70.0,
        "seal": 0.1,
        "open": 0.1,
        "added": 28,
        "loaded": False,
    }
    figures |= {"zipped": 13.0} | changes
    page = {"saved_percent": figures["saved"], "encode_us": figures["ours"]}
    codecs = {codec.OURS: page, codec.PEER: {"encode_us": 100.0}}
    ours = {"saved_percent": figures["saved"], "pack_us": figures["ours"]}
    return {
        **{kind: {"codecs": codecs} for kind in ("pages_as_written", "large_page")},
        "bundle": {"zstd": ours, "gzip": {"pack_us": figures["peer"]}},
        "sealing": {
            "loading": {"library_loaded": {"without": figures["loaded"]}},
            "bundle": {"seal_of_pack": figures["seal"], "open_of_unpack": figures["open"]},
            "bytes": {"bundle of 1": {"added_before_base64": figures["added"]}},
            "artifact": {"without": {"zipped_mb": 8.0}, "with": {"zipped_mb": figures["zipped"]}},
        },
    }


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, 0),
        ({"saved": 60.0}, 2),
        ({"ours": 30.0}, 2),
        ({"seal": 0.4}, 1),
        ({"open": 0.4}, 1),
        ({"added": 29}, 1),
        ({"loaded": True}, 1),
        ({"zipped": 17.0}, 1),
    ],
)
def test_each_target_can_be_missed(change: dict[str, Any], missed: int) -> None:
    """Too little saved, a slow codec, slow encryption, more bytes, a library that everybody loads, a large artifact."""
    assert list(codec.targets(results(**change)).values()).count(False) == missed


def test_the_large_page_is_as_large_as_it_says() -> None:
    """Fifty messages, and hardly more than 49,247 bytes."""
    page = codec.large_page()
    assert len(json.loads(page)) == 50
    assert codec.LARGE_PAGE_BYTES <= len(page) < codec.LARGE_PAGE_BYTES * 1.01
