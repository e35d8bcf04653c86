"""Bundles as text: what comes back, and what is refused."""

from __future__ import annotations

import base64
import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cache.blocks import (
    Block,
    ChannelList,
    Kept,
    Shareable,
    UnreadableError,
    block_key,
    channels_key,
)
from shared.cache.bundle import Bundle
from shared.cache.codec import FORM, MAX_RAW_BYTES, pack, unpack
from shared.cache.encryption import cipher_of, encrypt
from shared.cache.redis import BundlePolicy
from shared.runtime.codings import GZIP_WBITS, zstd
from shared.settings import CODECS
from tests.blocks import CHANNEL, OTHER, block, packed, unpacked
from tests.cases import case

ITEMS: dict[str, Shareable] = {
    block_key(CHANNEL, 0): block(CHANNEL, 1, 5),
    block_key(OTHER, 1): Block.of(51, [None]),
    channels_key("ada"): ChannelList((CHANNEL, OTHER)),
    channels_key("grace"): ChannelList(()),
}


def text_of(raw: bytes, codec: str = "g") -> str:
    """A text of our form around a pack of any kind."""
    encrypted = raw + zlib.crc32(raw).to_bytes(4, "little")
    compressed = zlib.compress(encrypted, wbits=GZIP_WBITS) if codec == "g" else zstd().compress(encrypted)
    return f"{FORM}{codec}{base64.b64encode(compressed).decode()}"


def is_refused(text: object) -> bool:
    """Whether it is refused by name."""
    try:
        unpack(text)
    except UnreadableError:
        return True
    return False


@pytest.mark.parametrize("codec", CODECS)
def test_bundles_come_back(codec: str) -> None:
    """Values of both kinds, empty ones included, and the empty bundle, whole and in order; the text is ASCII."""
    text = packed(ITEMS, codec)
    assert text.isascii()
    assert text.startswith(f"B3{codec[0]}")
    assert list(unpacked(text).items()) == list(ITEMS.items())
    assert unpacked(packed({}, codec)) == {}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=30).map(channels_key),
        st.lists(st.sampled_from([CHANNEL, OTHER]), max_size=5).map(lambda ids: ChannelList(tuple(ids))),
        max_size=5,
    ),
    st.sampled_from(CODECS),
)
def test_any_users_lists_come_back(items: dict[str, Shareable], codec: str) -> None:
    """Keys may hold any character."""
    assert unpacked(packed(items, codec)) == items


@given(st.lists(st.integers(0, 2**32 - 1), min_size=len(ITEMS), max_size=len(ITEMS)))
def test_the_times_of_use_come_back(used: list[int]) -> None:
    """Each value's own, from 1970 to 2106."""
    items = {key: Kept(ITEMS[key], each) for key, each in zip(ITEMS, used, strict=True)}
    assert unpack(pack(items)) == items


def test_a_value_takes_ten_bytes_beside_itself() -> None:
    """Four of them for the time of its last use; a pack has four more."""
    raw = zlib.decompress(base64.b64decode(packed(ITEMS, "gzip")[3:]), GZIP_WBITS)
    assert len(raw) == 4 + sum(10 + len(key.encode()) + len(value.encode()) for key, value in ITEMS.items())


@pytest.mark.parametrize("codec", CODECS)
def test_a_part_is_refused(codec: str) -> None:
    """A bundle that is cut anywhere before its end is refused."""
    text = packed(ITEMS, codec)
    assert all(is_refused(text[:length]) for length in range(len(text)))
    compressed = base64.b64decode(text[3:])
    for length in range(len(compressed)):
        assert is_refused(text[:3] + base64.b64encode(compressed[:length]).decode())


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_byte_never_changes_a_value(codec: str) -> None:
    """Whichever byte of what is stored is another, the bundle is refused or comes back as it was."""
    text = packed(ITEMS, codec)
    compressed = base64.b64decode(text[3:])
    for place in range(len(compressed)):
        for bit in (0x01, 0x10, 0x80, 0xFF):
            damaged = bytearray(compressed)
            damaged[place] ^= bit
            changed = text[:3] + base64.b64encode(damaged).decode()
            assert is_refused(changed) or unpacked(changed) == ITEMS
    for place in range(len(text)):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        assert is_refused(changed) or unpacked(changed) == ITEMS


def test_what_is_not_ours_is_refused() -> None:
    """Values of other types, other texts, invalid base64 and invalid frames are refused."""
    for text in [
        None,
        7,
        1.5,
        True,
        [],
        ["B3z"],
        {"a": 1},
        b"B3z",
        "",
        "B",
        "B3",
        "B3z",
        "B3g",
        "B3x",
        "B3zé",
        "B3z!",
        "B3zAAA",
        "B3zAAAA",
        "B3g====",
        "OK",
        "hello",
        "{}",
        "\ud800",
        "B3z\ud800",
        "B3\N{SNOWMAN}",
    ]:
        with case(text):
            assert is_refused(text)


def test_another_form_is_refused() -> None:
    """A bundle of a newer or older form, or under another codec's letter, even when all else is right."""
    text = packed(ITEMS)
    for start in ("B2z", "B4z", "b3z", "B3g", "B3y", "C3z"):
        assert is_refused(start + text[3:])


def test_trailing_bytes_are_refused() -> None:
    """A second frame, or anything else after the first."""
    for codec in CODECS:
        text = packed(ITEMS, codec)
        frame = base64.b64decode(text[3:])
        assert is_refused(text[:3] + base64.b64encode(frame + b"x").decode())
        assert is_refused(text[:3] + base64.b64encode(frame + frame).decode())


def test_a_pack_that_is_not_whole_is_refused() -> None:
    """Lengths beyond the end, keys that are no text, keys and values of no kind, though the checksum is right."""
    for raw in [
        b"\x01",
        b"\x01\x00\x00\x00\x00",
        b"\x01\x00\xff\xff\xff\xffu",
        b"\xff\xff\x00\x00\x00\x00u",
        b"\x01\x00\x00\x00\x00\x00\xff",
        b"\x01\x00\x00\x00\x00\x00x",
        b"\x02\x00\x03\x00\x00\x00uaXYZ",
    ]:
        with case(raw):
            assert is_refused(text_of(raw))
            assert is_refused(text_of(raw, "z"))


@pytest.mark.parametrize("codec", ["g", "z"])
def test_a_bomb_is_bounded(codec: str) -> None:
    """What grows beyond the limit is refused after the limit's bytes, not after its own."""
    bomb = text_of(bytes(20 * MAX_RAW_BYTES), codec)
    assert len(bomb) < MAX_RAW_BYTES / 10
    tracemalloc.start()
    try:
        assert is_refused(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_RAW_BYTES
    finally:
        tracemalloc.stop()


def test_a_frame_that_asks_for_a_large_window_is_refused() -> None:
    """A frame of a few bytes cannot make the decompressor set aside a hundred megabytes."""
    module = zstd()
    options = {module.CompressionParameter.window_log: 27, module.CompressionParameter.compression_level: 1}
    compressor = module.ZstdCompressor(options=options)
    frame = compressor.compress(b"") + compressor.compress(b"\x00" * 4) + compressor.flush()
    assert is_refused(f"B3z{base64.b64encode(frame).decode()}")


def test_the_largest_bundle_is_readable() -> None:
    """A bundle as large as its bound allows can be read again."""
    items: dict[str, Shareable] = {
        block_key(CHANNEL, n): block(CHANNEL, n * 50 + 1, n * 50 + 50, "x" * 1_000) for n in range(60)
    }
    assert unpacked(packed(items)) == items


def test_a_full_bundle_has_a_known_size() -> None:
    """Full of incompressible values a bundle stays below 1.4 MB, as the runbook says; also encrypted."""
    random = Random(5)  # noqa: S311 - repeatable filling, no secret
    bundle = Bundle(BundlePolicy().max_bytes, 1_000, lambda: 0)
    for number in range(100):
        bodies = [random.randbytes(1_000) for _ in range(50)]
        bundle.put(block_key(CHANNEL, number), Block.of(number * 50 + 1, bodies))
    for codec in ("zstd", "gzip"):
        text = pack(bundle.in_use(), codec)
        assert 1_200_000 < len(text) < 1_400_000
        assert len(encrypt(cipher_of("s" * 32), "k", text)) < 1_400_000
