"""One line a case: `2 3:x/y 4` keeps 2 units, puts two lines in place of 3, keeps 4."""

from __future__ import annotations

from typing import Any

import pytest

from collab.errors import InvalidChange
from collab.text import Change, Text, to_units


def c(notation: str) -> Change:
    sections: list[Any] = []
    for part in notation.split():
        units, replaced, insert = part.partition(":")
        sections.append([int(units), *insert.split("/")] if replaced else int(units))
    return Change.from_json(sections)


def shown(change: Change) -> str:
    parts: list[str] = []
    for section in change.to_json():
        if isinstance(section, int):
            parts.append(str(section))
        else:
            units, *lines = section
            parts.append(f"{units}:{'/'.join(map(str, lines))}")
    return " ".join(parts)


# -- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("json", "sections"),
    [
        ([], ()),
        ([4], ((4, None),)),
        ([2, [3], 4], ((2, None), (3, ""), (4, None))),
        ([2, [0, "x"], 4], ((2, None), (0, "x"), (4, None))),
        ([[1, "a", "", "b"]], ((1, "a\n\nb"),)),
        ([[0, "", ""]], ((0, "\n"),)),
        ([[0, "😀"]], ((0, "\ud83d\ude00"),)),
        ([[2**53 - 1]], ((2**53 - 1, ""),)),
    ],
)
def test_t3_json_says_which_sections_there_are(json: list[Any], sections: object) -> None:
    change = Change.from_json(json)
    assert change.sections == sections
    assert change.to_json() == json


@pytest.mark.parametrize("json", [[[2], [0, "z"]], [3, 4], [[0]], [[1], [1]], [[0, "a"], [0, "b"]]])
def test_t3_sections_are_kept_as_they_came(json: list[Any]) -> None:
    assert Change.from_json(json).to_json() == json


def test_t3_one_empty_line_is_a_deletion() -> None:
    assert Change.from_json([[3, ""]]) == Change.from_json([[3]])
    assert Change.from_json([[3, ""]]).to_json() == [[3]]


def test_t3_a_keep_of_nothing_is_dropped() -> None:
    assert Change.from_json([0, [1], 0, 3, 0]).to_json() == [[1], 3]
    assert Change.from_json([0]) == Change.empty(0)


def test_t2_lines_are_split_at_line_feeds_alone() -> None:
    change = Change.replace(0, 0, 0, "a\nb\u2028c\x0bd\x85e\n")
    assert change.to_json() == [[0, "a", "b\u2028c\x0bd\x85e", ""]]


@pytest.mark.parametrize(
    "json",
    [
        *(None, 3, "3", {}, (3,), {"0": 3}),
        *(["3"], [None], [{}], [[]], [[[]]], [(1, "a")], [["a"]], [["a", 1]], [[None, "a"]]),
        *([-1], [[-1]], [[-1, "a"]], [1.0], [0.5], [[1.0]], [float("nan")], [float("inf")]),
        *([True], [False], [[True]], [[False, "a"]], [2**53], [[2**53]], [-(2**70)]),
        *([[1, 2]], [[1, None]], [[1, "a", 2]], [[1, ["a"]]], [[1, True]], [[1, b"a"]]),
        *([[0, "a\nb"]], [[0, "a", "b\n"]], [[0, "a\r"]], [[0, "\r\n"]], [[0, "a\0"]]),
        *([[0, "\ud800"]], [[0, "a\udc00b"]], [[0, "\ude00\ud83d"]], [[0, "\ud83d\ude00"]]),
    ],
)
def test_t5_anything_else_is_refused(json: object) -> None:
    with pytest.raises(InvalidChange):
        Change.from_json(json)


# -- Values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "length", "new_length"),
    [("", 0, 0), ("4", 4, 4), ("0:😀", 0, 2), ("2 3:xy 4", 9, 8), ("1: 2 0:ab 0:/ 1:c", 4, 6)],
)
def test_t1_lengths_are_units(change: str, length: int, new_length: int) -> None:
    assert (c(change).length, c(change).new_length) == (length, new_length)


@pytest.mark.parametrize("change", ["", "4", "1 3"])
def test_t6_a_change_that_keeps_everything_is_empty(change: str) -> None:
    text = Text.of("abcd"[: c(change).length])
    assert c(change).is_empty
    assert c(change).apply(text) == text


@pytest.mark.parametrize("change", ["0:", "1 0: 3", "0:x 4", "4:", "0:a 2 0:b 2"])
def test_t6_a_change_with_any_other_section_is_not_empty(change: str) -> None:
    assert not c(change).is_empty


def test_changes_are_equal_if_their_sections_are() -> None:
    assert c("2 3:xy 4") == c("2 3:xy 4")
    assert len({c("2 3:xy 4"), c("2 3:xy 4"), c("2 3:xz 4"), c("5 4"), c("9"), c("9 0:")}) == 5
    assert c("0:x 2").map(c("2 0:y")) == c("0:x 3")
    assert hash(c("0:x 2").map(c("2 0:y"))) == hash(c("0:x 3"))
    assert c("9") != "9"


def test_a_change_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        c("9").length = 3  # type: ignore[misc]


def test_a_printed_change_tells_nobodys_text() -> None:
    assert repr(c("2 3:😀 4")) == "<Change 2 3:2 4>"
    assert repr(c("")) == "<Change >"


@pytest.mark.parametrize(
    ("args", "change"),
    [
        ((0, 0, 0, ""), "0:"),
        ((4, 0, 4, "x"), "4:x"),
        ((4, 1, 3, "a\n😀"), "1 2:a/😀 1"),
        ((4, 4, 4, "x"), "4 0:x"),
    ],
)
def test_replace_makes_a_splice(args: tuple[int, int, int, str], change: str) -> None:
    assert shown(Change.replace(*args)) == change


@pytest.mark.parametrize(
    "args",
    [(4, 3, 5, ""), (4, -1, 0, ""), (4, 3, 2, ""), (4, 0, 0, "\r\n"), (4, 0, 0, "\ud800")],
)
def test_t5_replace_refuses_what_no_change_may_bear(args: tuple[int, int, int, str]) -> None:
    with pytest.raises(InvalidChange):
        Change.replace(*args)


# -- apply --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "change", "result"),
    [
        ("", "", ""),
        ("", "0:x", "x"),
        ("abcd", "4", "abcd"),
        ("abcd", "1 2:x/y 1", "ax\nyd"),
        ("abcd", "4:", ""),
        ("abcd", "0:1 1 1: 1 0:2 1:34", "1ac234"),
        ("abcd", "1: 1: 0:x 0:y 2", "xycd"),
        ("a😀b", "1 2:𝄞 1", "a𝄞b"),
        ("a😀b", "2 2", "a😀b"),
    ],
)
def test_apply(text: str, change: str, result: str) -> None:
    assert str(c(change).apply(Text.of(text))) == result


@pytest.mark.parametrize("change", ["", "2", "4", "0:x 2", "1 1: 2", "1: 1: 1: 1:"])
def test_t4_a_wrong_total_is_refused(change: str) -> None:
    with pytest.raises(InvalidChange, match="lengths do not fit"):
        c(change).apply(Text.of("abc"))


@pytest.mark.parametrize(
    "change",
    ["2 1: 1", "1 1: 2", "2 0:x 2", "2 0: 2", "2 2:x", "2:x 2", "1: 1: 2", "1 1: 1: 1", "2: 0:x 2"],
)
def test_t5_a_cut_through_a_pair_is_refused(change: str) -> None:
    with pytest.raises(InvalidChange, match="surrogate pair"):
        c(change).apply(Text.of("a😀b"))


@pytest.mark.parametrize("change", ["1 2: 1", "1 0:x 3", "3 0:x 1", "1 2:😀 1", "1: 3:", "4:"])
def test_t5_a_cut_beside_a_pair_is_fine(change: str) -> None:
    c(change).apply(Text.of("a😀b"))


def test_t5_what_is_rebased_is_judged_where_it_applies() -> None:
    cut = c("1 1:😂 1")  # as an editor's DOM diff makes it of 😀 replaced by 😂
    assert str(cut.map(c("3:a")).apply(Text.of("a"))) == "a😂"


# -- The algebra, as the library has it (T7) ----------------------------------------------------


@pytest.mark.parametrize(
    ("change", "over", "after", "before"),
    [
        # Apart
        ("2 0:a 4", "5 0:b 1", "2 0:a 5", ...),
        ("5 0:a 1", "2 0:b 4", "6 0:a 1", ...),
        ("5 1:a", "2:b 4", "4 1:a", ...),
        # Two insertions in one place: the tie
        ("2 0:a 2", "2 0:b 2", "3 0:a 2", "2 0:a 3"),
        ("0:a 0:b 2", "0:c 0:d 2", "2 0:ab 2", "0:ab 4"),
        # An insertion and a deletion
        ("2 0:a 2", "1 2: 1", "1 0:a 1", ...),
        ("2 0:a 2", "1 2:xy 1", "3 0:a 1", ...),
        ("2 0:a 2", "2 2:b", "2 0:a 1", ...),
        ("2 0:a 2", "2:b 2", "1 0:a 2", ...),
        ("1 2: 1", "2 0:b 2", "1 1: 1 1: 1", ...),
        ("1 2:a 1", "2 0:b 2", "1 1:a 1 1: 1", ...),
        ("1 2:a 1", "1 0:b 3", "2 2:a 1", ...),
        ("1 2:a 1", "3 0:b 1", "1 2:a 2", ...),
        # Two replacements
        ("1 2:a 1", "1 2:b 1", "2 0:a 1", "1 0:a 2"),
        ("1 2:a 1", "1 1:b 2", "2 1:a 1", ...),
        ("1 1:a 2", "1 2:b 1", "1 0:a 2", ...),
        ("1 2:a 1", "2:b 2", "1 1:a 1", ...),
        ("1 2:a 1", "2 2:b", "1 1:a 1", ...),
        ("1 2:a 1", "4:b", "1 0:a", ...),
        ("4:a", "1 2:b 1", "1:a 1 1:", ...),
        ("4:a", "1 2: 1", "2:a", ...),
        ("1 2: 1", "1 2: 1", "2", ...),
        ("4:", "4:", "", ...),
        # Neighbours join with their like, unless there is nothing to map over
        ("1: 1: 2", "4", "1: 1: 2", ...),
        ("1: 1: 2", "2 2", "2: 2", ...),
        ("1:a 1:b 2", "2 2", "1:a 1:b 2", ...),
        ("1:a 0:b 1", "2:", "0:ab", ...),
        ("2: 0:z", "2:", "0:z", ...),
        ("1 3", "4", "1 3", ...),
        ("1 3", "2 2", "4", ...),
        ("4", "2 0:x 2", "5", ...),
        ("1 0: 3", "4", "1 0: 3", ...),
        ("1 0: 3", "1 0: 3", "4", ...),
        # A deletion of nothing does not decide a tie
        ("0:a 2", "0: 0:b 2", "1 0:a 2", "0:a 3"),
    ],
)
def test_t7_map(change: str, over: str, after: str, before: Any) -> None:
    assert shown(c(change).map(c(over))) == after
    assert shown(c(change).map(c(over), before=True)) == (after if before is ... else before)


def test_t8_to_map_over_a_composition_is_something_else() -> None:
    typed, first, second = c("0:a 1"), c("1:"), c("0:b")
    assert shown(typed.map(first).map(second)) == "1 0:a"
    assert shown(typed.map(first.compose(second))) == "0:a 1"


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("2 0:a 2", "2 1:b 2", "2 0:b 2"),
        ("2 0:abc 2", "3 1: 3", "2 0:ac 2"),
        ("2 0:abc 2", "1 5: 1", "1 2: 1"),
        ("0:abcd", "2 0:x 2", "0:abxcd"),
        ("0:a/b", "1 1:x 1", "0:axb"),
        # What the first deletes stands before what the second inserts
        ("2 2: 2", "2 0:x 2", "2 2: 0:x 2"),
        ("2 2:y 2", "2 0:x 3", "2 0:x 2:y 2"),
        ("2 2:y 2", "3 0:x 2", "2 2:y 0:x 2"),
        ("2 2:yz 2", "3 0:x 3", "2 2:yxz 2"),
        ("2 2:yz 2", "1 2:x 3", "1 3:xz 2"),
        ("1: 0:z 1", "1 0:q 1", "1: 0:zq 1"),
        # What reaches on is held together, unless it went into the section before it
        ("1 1: 1", "2:z", "3:z"),
        ("0:ab 2", "1 3:z", "2:az"),
        ("0:q 1:ab 2", "2 3:z", "0:q 3:az"),
        ("0:q 0:ab 2", "2 3:z", "0:qaz 2:"),
        # Where one of them keeps everything, the other one stays as it is
        ("1: 0:z 1", "2", "1: 0:z 1"),
        ("3", "2: 0:z 1", "2: 0:z 1"),
        ("1 3", "4", "1 3"),
        ("1 3", "2 2", "4"),
        ("0:a 0:b", "2", "0:a 0:b"),
        ("0:a 0:b", "1 1", "0:ab"),
        ("2 0: 2", "4", "2 0: 2"),
    ],
)
def test_t7_compose(first: str, second: str, both: str) -> None:
    assert shown(c(first).compose(c(second))) == both


@pytest.mark.parametrize(
    ("text", "change", "back"),
    [
        ("abcd", "4", "4"),
        ("abcd", "1 2:xyz 1", "1 3:bc 1"),
        ("abcd", "2 0:x 2", "2 1: 2"),
        ("abcd", "2 2:", "2 0:cd"),
        ("a\nb", "1: 1: 0:x 1", "0:a 0:/ 1: 1"),
        ("a😀b", "1 2: 1", "1 0:😀 1"),
        ("ab", "1 0: 1", "1 0: 1"),
    ],
)
def test_t7_invert(text: str, change: str, back: str) -> None:
    assert shown(c(change).invert(Text.of(text))) == back


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("4", [0, 1, 2, 3, 4], ...),
        ("2 0:xy 2", [0, 1, 2, 5, 6], [0, 1, 4, 5, 6]),
        ("1 2: 1", [0, 1, 1, 1, 2], ...),
        ("1 2:xyz 1", [0, 1, 1, 4, 5], [0, 1, 4, 4, 5]),
        ("4:xy", [0, 0, 0, 0, 2], [0, 2, 2, 2, 2]),
        ("0:x 4 0:y", [0, 2, 3, 4, 5], [1, 2, 3, 4, 6]),
        ("1: 1:z 0:y 2", [0, 0, 1, 3, 4], [0, 0, 2, 3, 4]),
    ],
)
def test_t7_map_position(change: str, before: list[int], after: Any) -> None:
    assert [c(change).map_position(pos) for pos in range(5)] == before
    expected = before if after is ... else after
    assert [c(change).map_position(pos, 1) for pos in range(5)] == expected


@pytest.mark.parametrize("pos", [-1, 5])
def test_a_position_outside_the_text_is_the_callers_mistake(pos: int) -> None:
    with pytest.raises(ValueError, match="no position"):
        c("2 2").map_position(pos)


def test_t4_changes_whose_lengths_do_not_fit_are_refused() -> None:
    for other in ("3", "0:x 3", "5", "1: 1: 1:"):
        with pytest.raises(InvalidChange, match="lengths do not fit"):
            c("1 2:x 1").map(c(other))
        with pytest.raises(InvalidChange, match="lengths do not fit"):
            c("2 0:x 0:y 2").map(c(other))
    for other in ("4", "0:x 4", "2: 2:"):
        with pytest.raises(InvalidChange, match="lengths do not fit"):
            c("1 2:x 1").compose(c(other))
    with pytest.raises(InvalidChange, match="lengths do not fit"):
        c("1 2:x 1").invert(Text.of("abc"))


def test_the_notation_of_these_tests() -> None:
    assert c("2 3:x/y 0:").sections == ((2, None), (3, "x\ny"), (0, ""))
    assert c("0:😀").sections == ((0, to_units("😀")),)
    assert shown(c("2 3:x/y 0:")) == "2 3:x/y 0:"
