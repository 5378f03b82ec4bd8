"""Names and titles: in any script, and without what deceives whoever reads them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.api.fields import MAX_MARKS, one_line, units
from collab.errors import Unprocessable

CONTROLS = "must be one line without control characters"
NOT_SEEN = "must have a character that can be seen"
MARKS = "must have at most 8 marks on one character"


def line(written: str) -> str:
    return one_line(written, "/name", 200)


@pytest.mark.parametrize(
    "written",
    [
        *("Ada Lovelace", "عمر بن الخطاب", "Ада", "李小龍", "ภูมิพล", "Nguyễn", "Nguye\u0302\u0303n"),
        *(
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "क्\u200dष",
            "\u0600\u0661\u0662",
        ),  # joiners, and a sign of numbers
        "ཧྐྵྨླྺྼྻྂ",  # as many marks as any syllable has
        "שָׁלוֹם",
        "👩\u200d🚀 👨\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 🧑🏽\u200d💻",
        *("🇫🇷", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"),
        *("1\ufe0f\u20e3", "☃\ufe0e", "C++ & <b>\"q\"</b> 'x'", "😀" * 100),
    ],
    ids=ascii,
)
def test_what_can_be_read_is_kept_as_it_is(written: str) -> None:
    assert line(written) == written
    assert line(f"\u3000 {written}\u00a0") == written


@pytest.mark.parametrize("invisible", ["\u00ad", "\u061c", "\u180e", "\u200b", "\u200e", "\u200f"])
def test_what_nobody_sees_is_taken_out(invisible: str) -> None:
    assert line(f"{invisible}A{invisible}da {invisible}") == "Ada"


DIRECTIONS = [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]


@pytest.mark.parametrize("turn", DIRECTIONS, ids=ascii)
def test_nothing_turns_the_direction_of_what_stands_around_it(turn: str) -> None:
    assert line(f"exe.{turn}fdp") == "exe.fdp"


def test_nothing_is_hidden_in_the_characters_that_flags_are_written_with() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "secret")
    assert line(f"Ada{hidden}\U000e007f") == "Ada"
    assert line(f"\U0001f3f4{hidden * 5}\U000e007f") == "\U0001f3f4"
    assert line(f"\U0001f3f4{hidden}") == "\U0001f3f4"


@pytest.mark.parametrize(
    ("written", "detail"),
    [
        *((f"A{control}B", CONTROLS) for control in "\0\t\n\r\x1b\x7f\x85\u2028\u2029\ud800\udfff"),
        *((nothing, NOT_SEEN) for nothing in ("\u200b", "\u200d", "\u200c\u200d", "\ufeff \u2060")),
        *((nothing, NOT_SEEN) for nothing in ("\u3164", "\u2800\u2800", "\u115f\u1160", "\uffa0")),
        *((nothing, NOT_SEEN) for nothing in ("\ufe0f", "\u0301", "\u034f", "\U000e0067")),
        ("A" + "\u0301" * 9, MARKS),
        ("A" + "\u0301\u20dd\u0903" * 3, MARKS),
        ("A" + "\u0301\u200d" * 9, MARKS),
        ("A" + "\u0301\u200b" * 9, MARKS),
        ("Ada " + "\u0301" * 9, MARKS),
    ],
    ids=ascii,
)
def test_what_cannot_be_a_line_is_refused(written: str, detail: str) -> None:
    with pytest.raises(Unprocessable, match=detail):
        line(written)


ODD = st.sampled_from(
    "\u00ad\u200b\u200c\u200d\u200e\u202e\u2066\u2800\u3164\ufe0f\u0301\U000e0067"
)
ANYTHING = st.text(st.one_of(ODD, st.characters()), max_size=40)


@given(ANYTHING)
def test_what_is_taken_can_be_seen_and_is_taken_as_it_is_again(written: str) -> None:
    try:
        taken = line(written)
    except Unprocessable:
        return
    assert 1 <= units(taken) <= 200
    assert taken == line(taken)
    categories = "".join(unicodedata.category(character)[0] for character in taken)
    assert set(categories) & set("LNPS")
    assert "M" * (MAX_MARKS + 1) not in categories
    assert not any(
        unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"}
        for character in taken
    )
