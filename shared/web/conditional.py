"""Conditional requests (RFC 9110, 13). Only this module knows the format of entity tags.

A channel's response differs by caller and with each message, so its ``ETag`` is weak and works with ``If-None-Match``
only. ``If-Match`` is compared strongly with the version of the channel's settings: the field ``version`` in quotes.
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
        msg = f'must be `{ANY}` or a list of entity tags in double quotes, such as `"3"`'
        raise ValueError(msg)
    return header


IfNoneMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` of the caller's copy, a list of them, or `*`. The response is 304 if one is current. "
        "A malformed value is ignored."
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
        description='The `version` that the channel must have, in double quotes, such as `"3"`; a list of them, '
        "or `*` for any. Compared strongly, so a channel's `ETag`, which is weak, never matches."
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
    """The versions of an ``If-Match``, one of which the channel must have; None for any version."""
    if if_match is None or if_match.strip() == ANY:
        return None
    found = (_VERSION.fullmatch(tag) for tag in _TAGS.findall(if_match))
    return frozenset(int(match[1]) for match in found if match)


def content_version(body: bytes) -> str:
    """The version of a response that has no other name for it: a hash of its body."""
    return blake2b(body, digest_size=12).hexdigest()
