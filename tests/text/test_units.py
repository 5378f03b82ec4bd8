"""T1: positions and lengths count UTF-16 code units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.text import from_units, to_units

TEXTS = st.text(st.sampled_from("ab\né\uffff😀𝄞\U0010ffff"))


@given(TEXTS)
def test_t1_a_unit_string_is_as_long_as_the_text_in_utf_16(s: str) -> None:
    assert len(to_units(s)) == len(s.encode("utf-16-le")) // 2


@given(TEXTS)
def test_t1_a_unit_string_holds_the_units_of_utf_16(s: str) -> None:
    assert to_units(s).encode("utf-16-le", "surrogatepass") == s.encode("utf-16-le")


@given(TEXTS)
def test_units_and_back(s: str) -> None:
    assert from_units(to_units(s)) == s


@given(TEXTS, TEXTS)
def test_units_add_up(s: str, t: str) -> None:
    assert to_units(s) + to_units(t) == to_units(s + t)


def test_a_long_text_is_taken_in_pieces_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    s = "a😀é\n𝄞" * 5
    whole = to_units(s)
    for piece in range(1, 8):
        monkeypatch.setattr("collab.text.units.PIECE", piece)
        assert to_units(s) == whole


@pytest.mark.parametrize("unpaired", ["\ud800", "a\udc00b", "\udc00\ud800", "😀\ud83d"])
def test_an_unpaired_surrogate_is_no_text(unpaired: str) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        to_units(unpaired)


@pytest.mark.parametrize("cut", ["a\ud83d", "\ude00a", "\ud83d\ude00\ud83d"])
def test_a_cut_pair_is_no_text(cut: str) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        from_units(cut)
