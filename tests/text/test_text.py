"""The rope against a plain string, which is slow and obvious."""

from __future__ import annotations

import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import InvalidChange
from collab.text import Text, rope, to_units

ALPHABET = "ab\né😀"
MAX_LEAF = 2048  # units


def random_units(random: Random, size: int) -> str:
    return to_units("".join(random.choices(ALPHABET, k=size)))


def safe(units: str, at: int) -> int:
    """The next position that cuts no pair."""
    return at + (at < len(units) and "\udc00" <= units[at] <= "\udfff")


def check(text: Text, units: str) -> None:
    assert len(text) == len(units)
    assert text.units() == units
    pieces = list(text.leaves())
    assert len(pieces) == 1 or all(MAX_LEAF // 4 <= len(piece) <= MAX_LEAF for piece in pieces)
    assert not any("\udc00" <= piece[0] <= "\udfff" for piece in pieces if piece)


@pytest.mark.parametrize("size", [0, 1, 511, 2048, 2049, 10_000, 100_000, 1_000_000])
def test_text_of_any_length(size: int) -> None:
    units = random_units(Random(size), size)
    text = Text.of_units(units)
    check(text, units)
    assert text == Text.of(str(text))


@pytest.mark.parametrize("seed", range(40))
def test_any_edits_make_what_they_make_of_a_string(seed: int) -> None:
    random = Random(seed)
    units = random_units(random, random.choice((0, 3000, 30_000)))
    text = Text.of_units(units)
    for _ in range(150):
        start = random.randrange(len(units) + 1)
        span = random.choice((0, 0, 1, 3, 1000, 3000, len(units)))
        start, end = safe(units, start), safe(units, min(start + span, len(units)))
        insert = random_units(random, random.choice((0, 1, 2, 500, 3000, 20_000)))
        text = text.splice(start, end, insert)
        units = units[:start] + insert + units[end:]
        check(text, units)


@pytest.mark.parametrize("seed", range(3))
def test_edits_of_a_text_of_millions(seed: int) -> None:
    random = Random(seed)
    units = random_units(random, 2_000_000)
    text = Text.of_units(units)
    for round_ in range(60):
        start = random.randrange(len(units) + 1)
        span = random.choice((0, 1, 2000, 30_000, 200_000, len(units) // 2))
        start, end = safe(units, start), safe(units, min(start + span, len(units)))
        insert = random_units(random, random.choice((0, 1, 5000, 100_000)))
        text = text.splice(start, end, insert)
        units = units[:start] + insert + units[end:]
        if round_ % 10 == 0:
            check(text, units)
    check(text, units)
    start, end = safe(units, 1), safe(units, len(units) - 3)
    check(text.splice(start, end, ""), units[:start] + units[end:])


def test_typing_in_the_middle_and_deleting_it_again_unit_by_unit() -> None:
    text = Text.empty()
    for n in range(5000):
        text = text.splice(n // 2, n // 2, "ab"[n % 2])
    check(text, "b" * 2500 + "a" * 2500)
    for n in range(5000):
        text = text.splice(len(text) // 3, len(text) // 3 + 1, "")
        assert len(text) == 4999 - n
        check(text, text.units())


def test_a_tree_that_shrank_is_as_flat_as_one_made_anew() -> None:
    root = rope.build("x" * 3_000_000)
    assert height(root) == 3
    for start in range(0, 190_000, 600):
        root = rope.splice(root, start, min(start + 9000, len(root)), "")
    assert height(root) == height(rope.build("x" * len(root))) == 2


def height(node: rope.Node) -> int:
    return 1 + max(map(height, node.children)) if isinstance(node, rope.Branch) else 0


def test_an_old_version_stays_as_it_was() -> None:
    versions = [Text.of("x" * 10_000)]
    for n in range(50):
        versions.append(versions[-1].splice(n * 100, n * 100 + 50, str(n)))
    assert versions[0].units() == "x" * 10_000
    assert [len(text) for text in versions] == [
        10_000 - sum(50 - len(str(k)) for k in range(n)) for n in range(51)
    ]


@given(st.text(st.sampled_from(ALPHABET)), st.data())
def test_a_slice_is_a_slice_of_the_units(s: str, data: st.DataObject) -> None:
    units = to_units(s) * 100
    start = data.draw(st.integers(0, len(units)))
    end = data.draw(st.integers(start, len(units)))
    assert Text.of_units(units).slice(start, end) == units[start:end]


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (0, 4), (2, 1), (4, 4)])
def test_a_range_outside_the_text_is_the_callers_mistake(start: int, end: int) -> None:
    text = Text.of("abc")
    with pytest.raises(ValueError, match="no range"):
        text.slice(start, end)
    with pytest.raises(ValueError, match="no range"):
        text.splice(start, end, "")


@pytest.mark.parametrize("size", [1, 600, 5000])
def test_t5_no_edit_cuts_a_pair_wherever_the_leaves_end(size: int) -> None:
    text = Text.of("😀" * size)
    for at in range(1, 2 * size, 2):
        near = [(at, at), (at, at + 1), (at - 1, at)]
        far = [(at, len(text)), (0, at), (max(at - 4001, 0), at), (at, min(at + 4001, len(text)))]
        for start, end in near + far:
            with pytest.raises(InvalidChange, match="surrogate pair"):
                text.splice(start, end, "")
        assert len(text.splice(at - 1, at + 1, "")) == len(text) - 2


@given(st.text(st.sampled_from(ALPHABET)), st.sampled_from([1, 700]))
def test_u6_the_crc_is_that_of_the_text_in_utf_16(s: str, times: int) -> None:
    assert Text.of(s * times).crc32() == zlib.crc32((s * times).encode("utf-16-le"))


def test_texts_are_equal_if_their_units_are_however_they_were_made() -> None:
    made = Text.of("b" * 5000).splice(0, 0, "a" * 3000).splice(3000, 8000, "")
    assert made == Text.of("a" * 3000)
    assert made != Text.of("a" * 2999 + "b")
    assert made != "a" * 3000
    assert str(Text.of("a😀\n")) == "a😀\n"
    assert len(Text.of("a😀\n")) == 4
