"""Conditional requests: ``If-None-Match`` on pages, ``If-Match`` on changes."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header

IfNoneMatch = Annotated[
    str | None, Header(description="The `ETag` of the caller's copy: 304 if still right.")
]
IfMatch = Annotated[
    str | None, Header(description='The `ETag` of the version that the change was made for, such as `"3"`.')
]
NEVER: Final = -1
"""A version that no channel has."""
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_VERSION = re.compile(r'"(\d{1,12})"\Z')


def etags(if_none_match: str | None) -> frozenset[str]:
    """The tags of an ``If-None-Match``, all in their weak form, as its comparison is weak; ``*`` as it is."""
    if if_none_match is None:
        return frozenset()
    found = {f"W/{tag}" for tag in _TAG.findall(if_none_match)}
    return frozenset(found | {"*"} if if_none_match.strip() == "*" else found)


def version(if_match: str | None) -> int | None:
    """The version that an ``If-Match`` asks for: None for any, ``NEVER`` for what cannot be one of ours."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = _VERSION.match(if_match.strip())
    return int(match[1]) if match else NEVER


def etag(channel_version: int) -> dict[str, str]:
    """The header that names a channel's version."""
    return {"ETag": f'"{channel_version}"'}
