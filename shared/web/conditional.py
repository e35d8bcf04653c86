"""Conditional requests (RFC 9110, 13): entity tags, made, read and compared here alone.

A channel's answer differs by caller and with each message, so its tag is weak, and good for ``If-None-Match``. What
``If-Match`` names, compared strongly, is the version of its settings: the field ``version`` between quotes.
"""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import blake2b
from typing import Annotated, Final

from fastapi import Header
from pydantic import AfterValidator, Field

ANY: Final = "*"
WEAK_ETAG: Final = 'W/"%s"'
"""A version as an ``ETag``; weak, as one version is sent in several content codings."""
_TAG: Final = r'(?:W/)?"[^"\x00-\x20\x7f]*"'
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_TAGS: Final = re.compile(_TAG)
_VERSION: Final = re.compile(r'"([1-9]\d{0,11})"', re.ASCII)


def _well_formed(header: str) -> str:
    if header.strip() != ANY and not _LIST.fullmatch(header):
        msg = f'neither `{ANY}` nor entity tags in double quotes, such as `"3"`'
        raise ValueError(msg)
    return header


IfNoneMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` of the caller's copy, a list of them, or `*`: 304 if one is still right. "
        "What is malformed is passed over."
    ),
]
IfMatch = Annotated[
    Annotated[
        str,
        AfterValidator(_well_formed),
        Field(json_schema_extra={"pattern": rf"^(\*|{_TAG}([ \t]*,[ \t]*{_TAG})*)$"}),
    ]
    | None,
    Header(
        description='The `version` that the change is made for, in double quotes, such as `"3"`; a list of them, '
        "or `*` for any. Compared strongly: the `ETag` of a channel is weak and matches none."
    ),
]


class _EveryVersion:
    """What ``*`` names."""

    def __contains__(self, version: object) -> bool:
        return True


def known_versions(if_none_match: str | None) -> Container[str]:
    """The versions whose tags an ``If-None-Match`` lists; ``*`` contains every version.

    The comparison is weak, so ``W/"1"`` and ``"1"`` name the same version. A malformed header names none: the cost is a
    full response.
    """
    if if_none_match is None:
        return frozenset()
    if if_none_match.strip() == ANY:
        return _EveryVersion()
    found = _TAGS.findall(if_none_match) if _LIST.fullmatch(if_none_match) else ()
    return frozenset(tag.removeprefix("W/")[1:-1] for tag in found)


def versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that an ``If-Match`` asks for, of which the channel must have one: None for any."""
    if if_match is None or if_match.strip() == ANY:
        return None
    found = (_VERSION.fullmatch(tag) for tag in _TAGS.findall(if_match))
    return frozenset(int(match[1]) for match in found if match)


def content_version(body: bytes) -> str:
    """The version of a response that has no other name for it: a hash of its body."""
    return blake2b(body, digest_size=12).hexdigest()
