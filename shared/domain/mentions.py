"""Mentions: who is named in a text. Pure: no I/O.

``<@ada>`` names a user, ``<!channel>`` and ``<!here>`` everybody in the channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.domain import keys

MAX_MENTIONS: Final = 50
"""Users named in one request; each takes a write of the transaction, of which DynamoDB allows 100."""
_USER: Final = re.compile(r"<@([^<>]{1,128})>")
_EVERYBODY: Final = re.compile(r"<!(?:channel|here)>")


@dataclass(frozen=True, slots=True)
class Mentions:
    """Who is named: users, in the order of the text, and whether everybody in the channel is."""

    users: tuple[str, ...] = ()
    everybody: bool = False

    def __bool__(self) -> bool:
        """Whether anybody is named."""
        return bool(self.users) or self.everybody


NOBODY: Final = Mentions()


def mentions_in(text: str) -> Mentions:
    """Who is named in a text; what is no user id is text like any other."""
    if "<" not in text:
        return NOBODY
    named = dict.fromkeys(each for each in _USER.findall(text) if keys.may_call(each))
    return Mentions(tuple(named), _EVERYBODY.search(text) is not None)
