"""What is in a text, by Unicode's rules: what shows, what a name may not hold, how names sort, where a text may be cut.

Pure: no I/O. Python's own tables of characters are used (``unicodedata``, half a millisecond to load); what they lack
stands here as ranges of `Unicode 16 <https://www.unicode.org/Public/16.0.0/ucd/>`_.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, combining, normalize

UNFIT_FOR_NAMES: Final = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffd"
"""Of a class of characters in a regular expression: what no name, topic or user id holds.

Control characters (C0, DEL and C1), the separators of lines and paragraphs, what turns the direction of the text around
it (embeddings, overrides, isolates), and U+FFFD, which stands for bytes that were no text. What scripts and emoji need
is fit for names: the marks of direction U+200E, U+200F and U+061C, both joiners, variation selectors.
"""
# Default_Ignorable_Code_Point; blanks that are symbols or letters to Unicode, of Braille, hieroglyphs and music.
_IGNORABLE: Final = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013441\U00013442\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LAST_OF_PLANE: Final = 0xFFFE
"""The bits of the last two code points of each plane."""
_BLANK: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs", "Mn", "Mc", "Me"})
"""Categories that show nothing by themselves: controls, blanks, and marks that need a character to stand on."""
# Belong to the character after them (Prepend). Those of Arabic and of Kaithi are of category Cf, but show.
_PREPENDED: Final = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u1cf5\u1cf6\U000110bd\U000110cd\U000111c2\U000111c3"
    "\U000113d1\U0001193f\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
# Belong to the character before them though they are no marks: joiners, forms of emoji, the AM of Thai and Lao.
_APPENDED: Final = re.compile(
    "[\u0e33\u0eb3\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_CONTROLS: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
# Of Hangul (the vowels of Kirat Rai too): letters that make one syllable.
_LEADING: Final = r"\u1100-\u115f\ua960-\ua97c"
_VOWEL: Final = r"\u1160-\u11a7\ud7b0-\ud7c6\U00016d63\U00016d67-\U00016d6a"
_TRAILING: Final = r"\u11a8-\u11ff\ud7cb-\ud7fb"
_SYLLABLE: Final = re.compile(
    rf"[{_LEADING}][{_LEADING}{_VOWEL}\uac00-\ud7a3]|[{_VOWEL}\uac00-\ud7a3][{_VOWEL}{_TRAILING}]|[{_TRAILING}]{{2}}"
)
_JOINER: Final = "\u200d"
_INFORMATION: Final = "\u2139"
"""The one emoji that is a letter to Unicode; all others are signs, or newer than Python's tables."""
_VIRAMA: Final = 9
"""The combining class of what joins two consonants of a script of India or South East Asia."""


def is_visible(text: str) -> bool:
    """Whether anything of the text shows: a character that is no blank, no control and no mark alone."""
    return any(_shows(character) for character in text)


def _shows(character: str) -> bool:
    if category(character) in _BLANK:
        return _PREPENDED.match(character) is not None
    return _IGNORABLE.match(character) is None and not _is_noncharacter(character)


def _is_noncharacter(character: str) -> bool:
    """Whether it is one of the 66 code points that will never be a character."""
    return "\ufdd0" <= character <= "\ufdef" or ord(character) & _LAST_OF_PLANE == _LAST_OF_PLANE


def folded(name: str) -> str:
    """What names are sorted by: without case, and the same however its accents are encoded.

    Unicode's canonical caseless form (NFC). Within three times the name's characters, and bytes.
    """
    return normalize("NFC", normalize("NFC", name).casefold())


def beginning(text: str, characters: int, size: int) -> str:
    """The longest start of a text within so many characters and bytes of UTF-8 that cuts nothing that shows as one.

    The place is a boundary of grapheme clusters (UAX 29): no half flag, no emoji without its other half, no letter
    without its accent. A text that begins with one cluster too long for the bounds is cut within it.
    """
    fitting = len(text[:characters].encode(errors="replace")[:size].decode(errors="ignore"))
    # Without the guess about consonants where nothing would be left otherwise.
    for guessing in (True, False):
        at = fitting
        while 0 < at < len(text) and not _is_boundary(text, at, guessing=guessing):
            at -= 1
        if at:
            return text[:at]
    return text[:fitting]


def _is_boundary(text: str, at: int, *, guessing: bool = True) -> bool:
    """Whether a grapheme cluster ends before this place, which is within the text.

    Of characters that Python's tables know. Which consonants join and which signs are emoji is not looked up: where
    they may, the answer is no, and what is shown may be a cluster shorter than it could be.
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
    """Whether the letters of a flag stand on both sides, and those before are no whole flags."""
    first = at
    while first > 0 and _is_flag_letter(text[first - 1]):
        first -= 1
    return _is_flag_letter(text[at]) and (at - first) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_joined(text: str, at: int, *, guessing: bool) -> bool:
    """Whether a joiner stands between two signs, or a mark that joins consonants before a letter without case."""
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
