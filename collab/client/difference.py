"""The difference between two texts, as a change: what a reset carries the unsent text over (H6).

Lines that stand once in either text anchor it, then words within the lines between; what is left
loses its common beginning and end, and the rest is replaced. The effort grows with the length of
the texts times its logarithm, whatever they are. The texts are ordinary strings here, so that no
surrogate pair can be cut.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from collab.text import Change, to_units

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEVELS = (re.compile(r".*\n|.+"), re.compile(r"\w+|\W"))
"""What a text is cut into to look for anchors, coarse to fine."""


def difference(old: str, new: str) -> Change:
    """`difference(old, new)` makes `new` of `old`, and keeps what it finds in both."""
    sections: list[tuple[int, str | None]] = []
    for before, after in _pairs(old, new, _LEVELS):
        units, insert = len(to_units(before)), to_units(after)
        kept = before == after
        if not sections or kept != (sections[-1][1] is None):
            sections.append((units, None if kept else insert))
            continue
        former_units, former = sections[-1]
        sections[-1] = former_units + units, None if former is None else former + insert
    return Change(tuple(sections))


def _pairs(old: str, new: str, levels: tuple[re.Pattern[str], ...]) -> Iterator[tuple[str, str]]:
    """The texts side by side, in pieces: of each pair, equal ones are kept, others replaced."""
    head = _common_head(old, new)
    tail = _common_tail(old[head:], new[head:])
    if head:
        yield old[:head], new[:head]
    middle = old[head : len(old) - tail], new[head : len(new) - tail]
    if not all(middle) or not levels:
        if any(middle):
            yield middle
    else:
        yield from _between_anchors(*middle, levels)
    if tail:
        yield old[-tail:], new[-tail:]


def _between_anchors(
    old: str, new: str, levels: tuple[re.Pattern[str], ...]
) -> Iterator[tuple[str, str]]:
    cut, *finer = levels
    a, b = cut.findall(old), cut.findall(new)
    i = j = 0
    for at_a, at_b in (*_anchors(a, b), (len(a), len(b))):
        yield from _pairs("".join(a[i:at_a]), "".join(b[j:at_b]), tuple(finer))
        if at_a < len(a):
            yield a[at_a], b[at_b]
        i, j = at_a + 1, at_b + 1


def _anchors(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """Places of pieces that stand once in each, the most that are in the same order in both."""
    once_in_a = {piece for piece, count in Counter(a).items() if count == 1}
    places_in_b = {piece: j for j, piece in enumerate(b)}
    once_in_b = {piece for piece, count in Counter(b).items() if count == 1}
    common = once_in_a & once_in_b
    return _longest_rise([(i, places_in_b[piece]) for i, piece in enumerate(a) if piece in common])


def _longest_rise(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest selection, in order, in which the second numbers rise."""
    ends: list[int] = []  # the smallest second number that a rise of each length ends with
    last: list[int] = []  # and where it is
    before: list[int] = []  # for each place, the one before it in its longest rise
    for at, (_, j) in enumerate(places):
        length = bisect_left(ends, j)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(j)
            last.append(at)
        else:
            ends[length], last[length] = j, at
    rise: list[tuple[int, int]] = []
    at = last[-1] if last else -1
    while at >= 0:
        rise.append(places[at])
        at = before[at]
    return rise[::-1]


def _common_head(a: str, b: str) -> int:
    """How long both begin alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_tail(a: str, b: str) -> int:
    """How long both end alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low
