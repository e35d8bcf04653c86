"""Which emoji one may react with. Pure: no I/O."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from shared.domain.emoji_table import FULLY_QUALIFIED

SHORTCODE: Final = r":[a-z0-9_+-]{1,32}:"
_SHORTCODE: Final = re.compile(SHORTCODE)
_VARIATION: Final = "\ufe0f"
"""Asks for the colourful form. Keyboards leave it out now and then, so it does not make two emoji of one."""
MAX_EMOJI_CHARACTERS: Final = 40
"""More than any emoji or shortcode has."""


def canonical_emoji(text: str) -> str | None:
    """The emoji as it is kept, or a shortcode such as ``:ship_it:``; None for any other text.

    An emoji is one sequence that Unicode recommends for general interchange (RGI), with or without its variation
    selectors.
    """
    if len(text) > MAX_EMOJI_CHARACTERS:
        return None
    if _SHORTCODE.fullmatch(text):
        return text
    return _known().get(text.replace(_VARIATION, ""))


@cache
def _known() -> dict[str, str]:
    return {each.replace(_VARIATION, ""): each for each in FULLY_QUALIFIED.split()}
