"""Who put which unit where it is."""

from __future__ import annotations

from itertools import groupby
from random import Random

import pytest

from collab.errors import InvalidChange
from collab.text import Change, Text, to_units
from collab.text.blame import MAX_SOURCES, Blame


def blamed(length: int, *changes: object) -> list[tuple[int, int]]:
    """The spans after changes in JSON, whose sources are 1, 2, …"""
    blame = Blame(length)
    for source, change in enumerate(changes, 1):
        blame.apply(Change.from_json(change), source)
    return list(blame.spans())


@pytest.mark.parametrize(
    ("length", "changes", "spans"),
    [
        (0, [], []),
        (3, [], [(3, 0)]),
        (0, [[[0, "abc"]]], [(3, 1)]),
        (3, [[3]], [(3, 0)]),
        (3, [[1, [0, "x"], 2]], [(1, 0), (1, 1), (2, 0)]),
        (3, [[1, [1, "xy"], 1]], [(1, 0), (2, 1), (1, 0)]),
        (3, [[1, [1], 1]], [(2, 0)]),
        (3, [[[3]]], []),
        (0, [[[0, "ac"]], [1, [0, "b"], 1]], [(1, 1), (1, 2), (1, 1)]),
        (0, [[[0, "ac"]], [1, [0, "b"], 1], [1, [1], 1]], [(2, 1)]),
        (0, [[[0, "a"]], [1, [0, "b"]]], [(1, 1), (1, 2)]),
        (4, [[[1, "x"], 2, [1, "y"]]], [(1, 1), (2, 0), (1, 1)]),
        (2, [[[2, "😀", ""]]], [(3, 1)]),
    ],
    ids=str,
)
def test_each_span_is_whoever_put_it_there(
    length: int, changes: list[object], spans: list[tuple[int, int]]
) -> None:
    assert blamed(length, *changes) == spans


def test_a_change_of_another_text_is_refused() -> None:
    """T4"""
    with pytest.raises(InvalidChange):
        blamed(3, [4])


def test_the_largest_source_is_a_source_like_any() -> None:
    blame = Blame(0)
    for source in (MAX_SOURCES, MAX_SOURCES - 1, MAX_SOURCES):
        length = sum(units for units, _ in blame.spans())
        blame.apply(Change.replace(length, length // 2, length // 2, "xxxx"), source)
    assert list(blame.spans()) == [
        (2, MAX_SOURCES),
        (2, MAX_SOURCES - 1),
        (4, MAX_SOURCES),
        (2, MAX_SOURCES - 1),
        (2, MAX_SOURCES),
    ]


def tag(sources: list[int], change: Change, source: int) -> list[int]:
    """The oracle: a list with the source of each unit."""
    made: list[int] = []
    at = 0
    for units, insert in change.sections:
        made += sources[at : at + units] if insert is None else [source] * len(insert)
        at += units
    return made


def random_change(random: Random, length: int) -> Change:
    sections: list[tuple[int, str | None]] = []
    while length and random.random() < 0.8:
        units = random.randint(1, min(length, 40))
        insert = to_units(random.choice(["", "a", "bc\n", "😀", "x" * random.randint(1, 3_000)]))
        sections.append((units, None if random.random() < 0.6 else insert))
        length -= units
    if random.random() < 0.5:
        sections.append((0, to_units(random.choice(["a", "two words", "😀😀"]))))
    if length:
        sections.append((length, None))
    return Change(tuple(sections))


@pytest.mark.parametrize("seed", range(25))
def test_it_is_what_tagging_each_unit_gives(seed: int) -> None:
    random = Random(seed)
    length = random.choice([0, 1, 100, 5_000])
    blame, oracle, text = Blame(length), [0] * length, Text.of("x" * length)
    for source in range(1, 120):
        change = random_change(random, len(text))
        if random.random() < 0.3:
            change = Change.empty(len(text))
        blame.apply(change, source)
        oracle = tag(oracle, change, source)
        text = Text.of_units("x" * change.new_length)
        if source % 10 == 0:
            expected = [(len(list(run)), value) for value, run in groupby(oracle)]
            assert list(blame.spans()) == expected, f"seed {seed}, after {source}"
