"""Encodes a bundle as text for Redis: versioned, compressed, with a checksum. An unreadable text is a miss.

``B3z`` or ``B3g`` (form 3, zstd or gzip), then base64 of the compressed pack. A pack has, for each value: the length of
the key, the length of the value, the time of last use, the key, the value; then a CRC-32 of all of it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.cache.blocks import Kept, UnreadableError, decode
from shared.runtime.codings import GZIP_WBITS, zstd

FORM: Final = "B3"
MAX_RAW_BYTES: Final = 4_000_000
"""Limit of a pack before compression; larger ones are not ours."""
ZSTD_LEVEL: Final = 3
WINDOW_LOG: Final = 23
"""Limit of a zstd frame's window. A foreign frame could demand 2**27 bytes; ours need at most ``MAX_RAW_BYTES``."""
GZIP_LEVEL: Final = 6
_HEAD: Final = struct.Struct("<HII")
_CRC: Final = struct.Struct("<I")


def pack(items: Mapping[str, Kept], codec: str = "zstd") -> str:
    """Encodes values as text."""
    parts = []
    for key, kept in items.items():
        raw_key, raw = key.encode(), kept.value.encode()
        parts += [_HEAD.pack(len(raw_key), len(raw), kept.used), raw_key, raw]
    raw_pack = b"".join(parts)
    raw_pack += _CRC.pack(zlib.crc32(raw_pack))
    if codec == "gzip":
        return f"{FORM}g{base64.b64encode(zlib.compress(raw_pack, GZIP_LEVEL, GZIP_WBITS)).decode()}"
    return f"{FORM}z{base64.b64encode(zstd().compress(raw_pack, ZSTD_LEVEL)).decode()}"


def unpack(text: object) -> dict[str, Kept]:
    """Decodes the values in a text.

    Raises:
        UnreadableError: it is not ours, of a newer form, damaged, or too large.
    """
    if not isinstance(text, str) or not text.startswith(FORM):
        raise UnreadableError
    try:
        compressed = base64.b64decode(text[len(FORM) + 1 :], validate=True)
    except ValueError as error:
        raise UnreadableError from error
    raw = _decompress(text[len(FORM) : len(FORM) + 1], compressed)
    if len(raw) < _CRC.size or zlib.crc32(raw[: -_CRC.size]) != _CRC.unpack(raw[-_CRC.size :])[0]:
        raise UnreadableError
    return {key: Kept(decode(key, value), used) for key, value, used in _values(raw[: -_CRC.size])}


def _values(raw: bytes) -> Iterator[tuple[str, bytes, int]]:
    at = 0
    while at < len(raw):
        try:
            key_length, length, used = _HEAD.unpack_from(raw, at)
            at += _HEAD.size
            key = raw[at : at + key_length].decode()
        except (struct.error, UnicodeDecodeError) as error:
            raise UnreadableError from error
        at += key_length
        if at + length > len(raw):
            raise UnreadableError
        yield key, raw[at : at + length], used
        at += length


def _decompress(codec: str, compressed: bytes) -> bytes:
    if codec == "g":
        return _bounded(zlib.decompressobj(GZIP_WBITS), compressed, zlib.error)
    if codec == "z":
        limit = {zstd().DecompressionParameter.window_log_max: WINDOW_LOG}
        return _bounded(zstd().ZstdDecompressor(options=limit), compressed, zstd().ZstdError)
    raise UnreadableError


def _bounded(decompressor: Any, compressed: bytes, failure: type[Exception]) -> bytes:  # noqa: ANN401 - zlib's or zstd's
    try:
        raw: bytes = decompressor.decompress(compressed, MAX_RAW_BYTES)
    except (failure, EOFError) as error:
        raise UnreadableError from error
    if not decompressor.eof or decompressor.unused_data:
        raise UnreadableError
    return raw
