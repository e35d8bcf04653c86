"""What shows in a text, and what names may not hold."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text import UNFIT_FOR_NAMES, is_visible

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SHOWING = st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0")
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


@given(HIDDEN, SHOWING, HIDDEN)
def test_one_letter_number_sign_or_symbol_shows(before: str, character: str, after: str) -> None:
    """Whatever stands around it."""
    assert is_visible(before + character + after)


@pytest.mark.parametrize("word", WORDS, ids=ascii)
def test_what_people_write_is_visible_and_fit_for_names(word: str) -> None:
    """In any script and direction, emoji too."""
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
