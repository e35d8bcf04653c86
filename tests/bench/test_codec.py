"""What compressing and encrypting cached values saves and takes, in the tiny form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import codec
from tests.running import tiny


def test_codecs_and_encryption_are_measured() -> None:
    """All codecs on both kinds of page; the bundle in the clear and encrypted."""
    found = tiny("bench.codec")
    for kind in ("pages_as_written", "large_page"):
        assert set(found[kind]["codecs"]) == set(codec.CODECS)
    bundle = found["bundle"]
    assert 0 < bundle["zstd"]["bytes"] < bundle["encryption"]["bytes"]
    assert bundle["zstd"]["saved_percent"] > 0 > bundle["encryption"]["saved_percent"]
    assert found["setting"] in codec.CODECS
    assert len(found["targets"]) == 6


@pytest.mark.parametrize(
    ("change", "missed"),
    [({}, 0), ({"saved": 60.0}, 2), ({"ours": 30.0}, 2), ({"encrypt": 4.0}, 1), ({"decrypt": 4.0}, 1)],
)
def test_each_target_can_be_missed(change: dict[str, float], missed: int) -> None:
    """Too little saved, a slow codec, slow encryption or decryption."""
    figures = {"ours": 10.0, "saved": 70.0, "encrypt": 1.0, "decrypt": 1.0} | change
    ours = {"saved_percent": figures["saved"], "encode_us": figures["ours"], "decode_us": 10.0}
    codecs = {codec.OURS: ours, codec.PEER: {"encode_us": 100.0}}
    encryption = {"encode_us": figures["encrypt"], "decode_us": figures["decrypt"]}
    results: dict[str, Any] = {
        **{kind: {"codecs": codecs} for kind in ("pages_as_written", "large_page")},
        "bundle": {"zstd": ours, "gzip": {"encode_us": 100.0}, "encryption": encryption},
    }
    assert list(codec.targets(results).values()).count(False) == missed


def test_the_large_page_has_the_documented_size() -> None:
    """Fifty messages of hardly more than 49,247 bytes."""
    page = codec.large_page()
    assert len(json.loads(page)) == 50
    assert codec.LARGE_PAGE_BYTES <= len(page) < codec.LARGE_PAGE_BYTES * 1.01
