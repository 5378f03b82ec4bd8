"""The difference between two texts, as a change: what a whole new text does to the old one.

Lines that stand once in either text anchor it, then words within the lines between; what is left
loses its common beginning and end, and the rest is replaced. The effort grows with the length of
the texts times its logarithm, whatever they are, and no step holds up other threads for long. The
texts are ordinary strings here, so that no surrogate pair can be cut.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from heapq import nlargest
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from collab.text.change import Change
from collab.text.units import to_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Cut = Callable[[str], list[str]]

MAX_LINES = 500_000
MAX_WORDS = 100_000
"""What has more lines, or is longer where words are compared, is replaced as a whole."""


def difference(old: str, new: str, max_sections: int | None = None) -> Change:
    """`difference(old, new)` makes `new` of `old`, and keeps what it finds in both.

    With `max_sections` it keeps only the longest of that where it would have more sections.
    """
    pieces = _joined(
        _Piece(before == after, before, after)
        for before, after in _pairs(old, new, (_lines, _words))
    )
    if max_sections is not None and len(pieces) > max_sections:
        kept = (place for place, piece in enumerate(pieces) if piece.kept)
        longest = set(
            nlargest((max_sections - 1) // 2, kept, key=lambda place: len(pieces[place].old))
        )
        pieces = _joined(
            _Piece(place in longest, piece.old, piece.new) for place, piece in enumerate(pieces)
        )
    return Change(
        tuple(
            (len(to_units(piece.old)), None if piece.kept else to_units(piece.new))
            for piece in pieces
        )
    )


class _Piece(NamedTuple):
    kept: bool
    old: str
    new: str


def _joined(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Pieces that are kept, and pieces that are not, in turn."""
    joined = []
    for kept, alike in groupby(pieces, key=lambda piece: piece.kept):
        run = list(alike)
        joined.append(
            _Piece(kept, "".join(piece.old for piece in run), "".join(piece.new for piece in run))
        )
    return joined


def _pairs(old: str, new: str, levels: tuple[Cut, ...]) -> Iterator[tuple[str, str]]:
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


def _between_anchors(old: str, new: str, levels: tuple[Cut, ...]) -> Iterator[tuple[str, str]]:
    cut, *finer = levels
    a, b = cut(old), cut(new)
    i = j = 0
    for at_a, at_b in (*_anchors(a, b), (len(a), len(b))):
        yield from _pairs("".join(a[i:at_a]), "".join(b[j:at_b]), tuple(finer))
        if at_a < len(a):
            yield a[at_a], b[at_b]
        i, j = at_a + 1, at_b + 1


def _lines(text: str) -> list[str]:
    if text.count("\n") >= MAX_LINES:
        return [text]
    *lines, last = text.split("\n")
    return [*(line + "\n" for line in lines), last]


def _words(text: str) -> list[str]:
    return [text] if len(text) > MAX_WORDS else _WORD.findall(text)


_WORD = re.compile(r"\w+|\W")


def _anchors(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """Places of pieces that stand once in each, the most that are in the same order in both."""
    places_in_b = _places(b)
    return _longest_rise(
        [
            (i, j)
            for piece, i in _places(a).items()
            if i >= 0 and (j := places_in_b.get(piece, -1)) >= 0
        ]
    )


def _places(pieces: list[str]) -> dict[str, int]:
    """Where each piece stands, in the order of their first places; -1 for more than one place."""
    places: dict[str, int] = {}
    for place, piece in enumerate(pieces):
        places[piece] = -1 if piece in places else place
    return places


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
