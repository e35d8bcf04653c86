"""What shows in a text, what names may not hold, and where a text may be cut."""

from __future__ import annotations

import re
import unicodedata

import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.text import UNFIT_FOR_NAMES, beginning, is_visible
from tests.cases import case
from tests.lengths import examples

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SHOWING = st.characters(
    categories=["L", "N", "P", "S"],
    exclude_characters="\u115f\u1160\u2800\u3164\uffa0\U00013441\U00013442\U0001d159",
)
HIDDEN = st.text(
    st.characters(categories=["Zs", "Zl", "Zp", "Cc", "Mn", "Me"])
    | st.sampled_from(
        "\xad\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u2060\u2066\u2800\u3164\ufeff\uffa0\U000e0041"
    ),
    max_size=20,
)
WORDS = [
    "שלום",
    "مرحبا",
    "\u200fשלום\u200e Ada",  # noqa: RUF001 - Hebrew
    "नमस्ते",
    "สวัสดี",
    "می\u200cخواهم",  # noqa: RUF001 - Persian
    "👨\u200d👩\u200d👧\u200d👦",
    "❤\ufe0f",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1\ufe0f\u20e3",
    "e\u0301",
    "\U0001fae9",
]
"""What people write: both directions and their marks, joined letters and emoji, one newer than Python's tables."""


@given(HIDDEN)
def test_blanks_format_characters_and_marks_alone_show_nothing(text: str) -> None:
    """However many of them there are."""
    assert not is_visible(text)


def test_blank_signs_and_noncharacters_show_nothing() -> None:
    """The empty note head, the blanks of hieroglyphs, and code points that will never be characters."""
    for character in ["\U0001d159", "\U00013441", "\U00013442", "\ufdd0", "\ufffe", "\uffff", "\U0010ffff"]:
        with case(character):
            assert not is_visible(character)


@given(HIDDEN, SHOWING, HIDDEN)
def test_one_letter_number_sign_or_symbol_shows(before: str, character: str, after: str) -> None:
    """Whatever surrounds it."""
    assert is_visible(before + character + after)


def test_what_people_write_is_visible_and_fit_for_names() -> None:
    """In any script and direction, emoji too."""
    for word in WORDS:
        with case(word):
            assert is_visible(word)
            assert not re.search(f"[{UNFIT_FOR_NAMES}]", word)


@given(TEXTS)
def test_names_hold_no_control_and_nothing_that_turns_them_around(text: str) -> None:
    """The class of unfit characters is Unicode's controls, separators, embeddings, overrides, isolates, and U+FFFD."""
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for character in text:
        unfit = (
            unicodedata.category(character) in {"Cc", "Zl", "Zp"}
            or unicodedata.bidirectional(character) in turning
            or character == "\ufffd"
        )
        assert bool(re.match(f"[{UNFIT_FOR_NAMES}]", character)) == unfit


# --- where a text may be cut ---

PIECES = st.sampled_from(
    [
        *WORDS,
        *(
            "🇩🇪",
            "🇫🇷",
            "🇩",
            "👍🏿",
            "🏻",
            "\u200d",
            "\ufe0f",
            "❤",
            "©",
            "x",
            "é",
            "漢",
            "\r\n",
            "\r",
            "\n",
            "\u0301",
            "\u0308",
        ),
        *("한국", "\u1112\u1161\u11ab", "\u1100", "\u1161", "\u11a8", "가", "\ua960", "\ud7b0"),
        *(
            "क्षि",
            "\u094d",
            "क",
            "ক্ষ",
            "\u200c",
            "தமிழ்",
            "ക്ഷ",
            "\u1039",
            "\u1000",
            "กำ",
            "\u0600",
            "\u06dd",
            "\u0d4e",
            "\U000110bd",
        ),
        *("\u200b", "\xad", "\u2066", "\u0903", "ﾊﾞ", "\U000e0067", "\x85", "\u2028"),
    ]
)
MIXED = st.lists(PIECES | st.characters(exclude_categories=["Cs", "Cn"]), max_size=25).map("".join)
SIMPLE = st.text(st.sampled_from("a é漢🦜🇩👩👧🏿") | st.sampled_from("\u200d\ufe0f\u0301\u0308"), max_size=60)


def ends(text: str) -> list[int]:
    """Where a text's graphemes end, by the library `regex`."""
    return [match.end() for match in regex.finditer(r"\X", text)]


@settings(max_examples=examples(150))
@given(MIXED, st.integers(1, 30), st.integers(1, 60))
@example("🇩🇪" * 50, 100, 140)
@example("👨\u200d👩\u200d👧\u200d👦" * 9, 100, 140)
@example("\u0301" * 200, 100, 140)
@example("\ud800" * 3, 2, 1)
def test_a_text_is_cut_between_graphemes(text: str, characters: int, size: int) -> None:
    """Within the bounds, and within a grapheme only where the first one is too long for them."""
    cut = beginning(text, characters, size)
    assert text.startswith(cut)
    assert len(cut) <= characters
    assert len(cut.encode(errors="replace")) <= size
    if len(text) <= characters and len(text.encode(errors="replace")) <= size:
        assert cut == text
    found = ends(text)
    fits = found and found[0] <= characters and len(text[: found[0]].encode(errors="replace")) <= size
    assert len(cut) in found or not cut or not fits


@given(SIMPLE, st.integers(1, 30), st.integers(1, 60))
def test_as_many_graphemes_are_kept_as_fit(text: str, characters: int, size: int) -> None:
    """Of Latin, Chinese and emoji; of scripts whose consonants join, a grapheme less may be kept."""
    fitting = [at for at in ends(text) if at <= characters and len(text[:at].encode()) <= size]
    assert not fitting or len(beginning(text, characters, size)) == fitting[-1]
