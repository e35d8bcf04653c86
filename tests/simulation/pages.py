"""A page as its bytes say it, and what a window means."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shared.domain import keys
from shared.runtime.codings import GZIP, PLAIN, ZSTD, Accepted, zstd
from shared.use_cases.fetch_messages import Page, Window

CODINGS: Final = (PLAIN, Accepted(ZSTD, identity=False), Accepted(ZSTD, identity=False), Accepted(GZIP))
"""What clients accept: who takes nothing plain has small pages compressed, and so remembered, too."""
_DECODE: Final[Mapping[str | None, Callable[[bytes], bytes]]] = {
    None: bytes,
    GZIP: gzip.decompress,
    ZSTD: lambda body: bytes(zstd().decompress(body)),
}


class WrongError(Exception):
    """A wrong response; the message says why."""


def plain(page: Page) -> Page:
    """The page as a client reads it.

    Raises:
        WrongError: it is not in the coding that it says.
    """
    try:
        return replace(page, body=page.body and _DECODE[page.coding](page.body), coding=None)
    except (OSError, EOFError, zstd().ZstdError) as error:
        raise WrongError(f"not in {page.coding}") from error


@dataclass(frozen=True)
class Shown:
    """The fields of a page, from its bytes."""

    messages: bytes
    first_seq: int
    last_seq: int
    channel_last_seq: int
    channel_last_rev: int
    has_more_before: bool
    has_more_after: bool

    @property
    def seqs(self) -> list[int]:
        """The positions of its messages."""
        return [message["seq"] for message in json.loads(b"[%b]" % self.messages)]

    @classmethod
    def of(cls, channel_id: str, body: bytes) -> Shown:
        """A page's bytes, apart.

        Raises:
            WrongError: it is no page of this channel.
        """
        start = b'{%b,"messages":[' % keys.log_json(channel_id)
        end = body.rfind(b'],"first_seq":')
        if not body.startswith(start) or end < 0:
            raise WrongError("not a page of this channel")
        return cls(body[len(start) : end], **json.loads(b"{" + body[end + 2 :]))


def expected(window: Window, end: int, read_seq: int) -> tuple[int, int]:
    """The positions that a window means in a log that ends at ``end``, before it is extended for want of messages."""
    limit = window.limit
    if window.before is not None:
        return max(1, window.before - limit), window.before - 1
    if window.after is not None:
        return window.after + 1, min(end, window.after + limit)
    middle = read_seq + 1 if window.anchor == "first_unread" else window.around
    if middle is not None:
        first = max(1, min(middle - limit // 2, end - limit + 1))
        return first, min(end, first + limit - 1)
    if window.anchor == "oldest":
        return 1, min(end, limit)
    return max(1, end - limit + 1), end


def difference(standing: dict[int, bytes | None], messages: bytes) -> str:
    """How a page's messages differ from the entries at its positions."""
    shown = [message["seq"] for message in json.loads(b"[%b]" % messages)]
    true = [seq for seq, body in standing.items() if body is not None]
    if len(set(shown)) < len(shown):
        return f"shows a message twice: {shown}"
    if shown != sorted(shown):
        return f"shows messages out of order: {shown}"
    lacking, strange = sorted(set(true) - set(shown)), sorted(set(shown) - set(true))
    return (
        f"lacks {lacking}, shows {strange} that do not stand there" if lacking or strange else "other bytes"
    )
