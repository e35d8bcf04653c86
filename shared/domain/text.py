"""Unicode's rules for texts: what is visible, what a name may not contain, how names sort, where a text may be cut.

Pure: no I/O. It uses Python's tables of characters (``unicodedata``, half a millisecond to load), and ranges of
`Unicode 16 <https://www.unicode.org/Public/16.0.0/ucd/>`_ for what these lack.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, combining, normalize

UNFIT_FOR_NAMES: Final = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffd"
"""The characters that names, topics and user ids may not contain, for a character class of a regular expression.

Control characters (C0, DEL and C1), line and paragraph separators, bidirectional controls that affect the surrounding
text (embeddings, overrides, isolates), and U+FFFD, which replaces undecodable bytes. Characters that scripts and emoji
need are allowed: the directional marks U+200E, U+200F and U+061C, both joiners, variation selectors.
"""
# Default_Ignorable_Code_Point, and blanks that Unicode classifies as symbols or letters (Braille, hieroglyphs, music).
_IGNORABLE: Final = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013441\U00013442\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LAST_OF_PLANE: Final = 0xFFFE
"""The bits that the last two code points of each plane have set."""
_BLANK: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs", "Mn", "Mc", "Me"})
"""Categories that are not visible by themselves: controls, blanks, and marks that need a base character."""
# Belong to the character after them (Prepend). Those of Arabic and Kaithi have category Cf, but are visible.
_PREPENDED: Final = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u1cf5\u1cf6\U000110bd\U000110cd\U000111c2\U000111c3"
    "\U000113d1\U0001193f\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
# Belong to the character before them, but are not marks: joiners, emoji modifiers, the AM of Thai and Lao.
_APPENDED: Final = re.compile(
    "[\u0e33\u0eb3\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_CONTROLS: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
# Letters of Hangul that form one syllable, and the vowels of Kirat Rai.
_LEADING: Final = r"\u1100-\u115f\ua960-\ua97c"
_VOWEL: Final = r"\u1160-\u11a7\ud7b0-\ud7c6\U00016d63\U00016d67-\U00016d6a"
_TRAILING: Final = r"\u11a8-\u11ff\ud7cb-\ud7fb"
_SYLLABLE: Final = re.compile(
    rf"[{_LEADING}][{_LEADING}{_VOWEL}\uac00-\ud7a3]|[{_VOWEL}\uac00-\ud7a3][{_VOWEL}{_TRAILING}]|[{_TRAILING}]{{2}}"
)
_JOINER: Final = "\u200d"
_INFORMATION: Final = "\u2139"
"""The only emoji that Unicode classifies as a letter; all others are symbols, or newer than Python's tables."""
_VIRAMA: Final = 9
"""The combining class of marks that join two consonants in scripts of India and South East Asia."""


def is_visible(text: str) -> bool:
    """Whether the text has a visible character: one that is not a blank, a control or a lone mark."""
    return any(_shows(character) for character in text)


def _shows(character: str) -> bool:
    if category(character) in _BLANK:
        return _PREPENDED.match(character) is not None
    return _IGNORABLE.match(character) is None and not _is_noncharacter(character)


def _is_noncharacter(character: str) -> bool:
    """Whether it is one of Unicode's 66 noncharacters."""
    return "\ufdd0" <= character <= "\ufdef" or ord(character) & _LAST_OF_PLANE == _LAST_OF_PLANE


def folded(name: str) -> str:
    """The form that names are sorted by: without case, and independent of how accents are encoded.

    Unicode's canonical caseless form (NFC); at most three times as long as the name in characters, and in bytes.
    """
    return normalize("NFC", normalize("NFC", name).casefold())


def beginning(text: str, characters: int, size: int) -> str:
    """The longest start of a text of at most ``characters`` characters and ``size`` bytes of UTF-8.

    It ends at a boundary of grapheme clusters (UAX 29), so it does not split a flag, an emoji sequence, or a letter and
    its accent. Only a first cluster that is longer than the limits is split.
    """
    fitting = len(text[:characters].encode(errors="replace")[:size].decode(errors="ignore"))
    # The second pass does not guess about consonants; it runs if the first one leaves nothing.
    for guessing in (True, False):
        at = fitting
        while 0 < at < len(text) and not _is_boundary(text, at, guessing=guessing):
            at -= 1
        if at:
            return text[:at]
    return text[:fitting]


def _is_boundary(text: str, at: int, *, guessing: bool = True) -> bool:
    """Whether a grapheme cluster ends before this index, which must be inside the text.

    For characters that Python's tables know. These do not say which consonants join and which symbols are emoji: in
    doubt the result is False, and a preview may be a cluster shorter than necessary.
    """
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        return (before, after) != ("\r", "\n")
    if _is_control(before) or _is_control(after):
        return True
    attached = _is_appended(after) or _PREPENDED.match(before) or _SYLLABLE.match(before + after)
    return not (attached or _is_half_flag(text, at) or _is_joined(text, at, guessing=guessing))


def _is_control(character: str) -> bool:
    if _APPENDED.match(character) or _PREPENDED.match(character):
        return False
    return category(character) in _CONTROLS


def _is_appended(character: str) -> bool:
    return category(character) in _MARKS or _APPENDED.match(character) is not None


def _is_half_flag(text: str, at: int) -> bool:
    """Whether this index splits a flag: regional indicators on both sides, an odd number of them before it."""
    first = at
    while first > 0 and _is_flag_letter(text[first - 1]):
        first -= 1
    return _is_flag_letter(text[at]) and (at - first) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_joined(text: str, at: int, *, guessing: bool) -> bool:
    """Whether a joiner connects two symbols here, or a virama may connect two consonants."""
    first = at
    while first > 0 and _is_appended(text[first - 1]):
        first -= 1
    marks = text[first:at]
    one_joiner = text[at - 1] == _JOINER and _JOINER not in marks[:-1]
    if first > 0 and one_joiner and _may_be_emoji(text[first - 1]) and _may_be_emoji(text[at]):
        return True
    return guessing and category(text[at]) == "Lo" and any(combining(mark) == _VIRAMA for mark in marks)


def _may_be_emoji(character: str) -> bool:
    is_sign = category(character)[0] in "CPS" or character == _INFORMATION
    return is_sign and not _is_flag_letter(character)
