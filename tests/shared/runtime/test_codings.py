"""Content codings: what a client accepts, and what comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.codings import (
    GZIP,
    MIN_BYTES,
    PLAIN,
    ZSTD,
    Accepted,
    accepted,
    available,
    encode,
)
from tests.cases import case
from tests.decoding import decoded

ROOT = Path(__file__).resolve().parents[3]
CODINGS = ("zstd", "gzip", "identity", "*", "br", "deflate")
WANTED = st.lists(st.tuples(st.sampled_from(CODINGS), st.integers(0, 1_000) | st.none()), max_size=6)
"""Codings with their weights in thousandths, None for one that is not given."""
SPELLINGS = st.sampled_from([str.lower, str.upper, str.title])
BLANKS = st.sampled_from(["", " ", "\t", "  "])


def weight(thousandths: int, digits: int) -> str:
    """A weight as RFC 9110 spells it."""
    text = f"{thousandths / 1000:.3f}"
    return text.rstrip("0").rstrip(".") if digits else text


def reference(wanted: list[tuple[str, int | None]]) -> Accepted:
    """What RFC 9110 says, step by step."""
    named = {coding: 1_000 if given is None else given for coding, given in wanted}
    rest = named.get("*")
    identity = named.get("identity", rest)
    codings = [(named.get(each, rest or 0), each) for each in ("gzip", "zstd")]
    possible = [(given, each) for given, each in codings if given]
    best = max(possible, default=None, key=lambda each: (each[0], each[1] == "zstd"))
    if best and identity and identity > best[0]:
        best = None
    return Accepted(best[1] if best else None, identity != 0)


@given(WANTED, st.data())
def test_what_is_accepted_is_what_the_rfc_says(
    wanted: list[tuple[str, int | None]], data: st.DataObject
) -> None:
    """Any codings, weights, spelling and blanks give the best coding, and whether plain responses are accepted."""
    elements = []
    for coding, given_weight in wanted:
        blank = data.draw(BLANKS)
        text = blank + data.draw(SPELLINGS)(coding) + data.draw(BLANKS)
        if given_weight is not None:
            text += f";{blank}{data.draw(st.sampled_from('qQ'))}={weight(given_weight, data.draw(st.integers(0, 1)))}"
        elements.append(text + data.draw(BLANKS))
    assert accepted(",".join(elements)) == reference(wanted)


def test_headers_as_clients_send_them() -> None:
    """Browsers', RFC 9110's own, and malformed ones, whose elements are left out one by one."""
    for header, coding in [
        (None, None),
        ("", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"),
        ("x-gzip", "gzip"),
        ("compress, br", None),
        ("gzip;q=0", None),
        ("gzip;q=0.001", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=2", None),
        ("gzip;q=0.1234", None),
        ("gzip;q=-1", None),
        ("gzip;level=9", None),
        ("gzip;q=", None),
        (";q=1,,gzip", "gzip"),
        ("gzip zstd", None),
        ("gzip\x00", None),
        ("ünfug, gzip", "gzip"),
    ]:
        with case(header, coding):
            assert accepted(header).coding == coding


def test_a_client_that_refuses_plain_responses_gets_small_ones_compressed() -> None:
    """The size bound holds only for clients that accept both."""
    for header in ["identity;q=0, gzip", "*;q=0, gzip", "gzip;q=0.5, identity;q=0.000"]:
        with case(header):
            found = accepted(header)
            assert found == Accepted(GZIP, identity=False)
            assert found.choose(1) == GZIP


def test_small_answers_are_left_alone() -> None:
    """Up to the bound nothing is compressed, from it on all is that a client accepts."""
    assert accepted("gzip").choose(MIN_BYTES - 1) is None
    assert accepted("gzip").choose(MIN_BYTES) == GZIP
    assert PLAIN.choose(10**6) is None


@pytest.mark.parametrize("coding", [ZSTD, GZIP])
@given(body=st.binary(max_size=5_000))
def test_what_is_encoded_comes_back(coding: str, body: bytes) -> None:
    """Any bytes, in any coding; and never text, which Mangum would take for the body itself."""
    made = encode(body, coding)
    assert decoded(made, coding) == body
    with pytest.raises(UnicodeDecodeError):
        made.decode()


def test_the_better_coding_is_here() -> None:
    """The tests run with both codings."""
    assert available() == (ZSTD, GZIP)


@pytest.mark.parametrize(("missing", "coding"), [("", ZSTD), ("backports compression", GZIP)])
def test_an_artifact_without_zstd_has_gzip(missing: str, coding: str) -> None:
    """What is not installed is not offered; and finding out, or compressing nothing, loads no codec."""
    code = f"""
import sys
sys.modules.update(dict.fromkeys({missing.split()}))
from shared.runtime.codings import accepted
print(accepted("zstd, gzip").coding, any("zstd" in name and sys.modules[name] for name in sys.modules))
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == [coding, "False"]
