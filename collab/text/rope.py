"""The tree under a text: a B-tree of pieces, persistent, so that an edit copies one path only.

A leaf is a unit string, a branch knows where each of its children ends. Leaves hold `MIN_LEAF` to
`MAX_LEAF` units (the only leaf of a short text may hold less), and no two leaves share a surrogate
pair: whether an edit cuts one is seen in the leaf where it happens.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeAlias

from collab.errors import InvalidChange
from collab.text.units import cuts_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_LEAF = 512  # units
MAX_LEAF = 2048  # units
LEAF = 1024  # units, of the leaves that a longer piece is cut into
FAN = 24  # children, of the branches that a longer row is cut into
MIN_FAN = 8  # children; fewer only at the top, and where a great deletion left no neighbour
MAX_FAN = 32  # children


class Branch:
    """`ends[i]` is where child i ends, in units from the branch's own start."""

    __slots__ = ("children", "ends")

    def __init__(self, children: tuple[Node, ...], ends: tuple[int, ...]) -> None:
        self.children = children
        self.ends = ends

    def __len__(self) -> int:
        return self.ends[-1]


Node: TypeAlias = str | Branch


def build(units: str) -> Node:
    """The tree of a unit string of any length."""
    return _root(_leaves(units))


def leaves(node: Node) -> Iterator[str]:
    """The pieces of the text, in order."""
    if isinstance(node, str):
        yield node
    else:
        for child in node.children:
            yield from leaves(child)


def leaves_between(node: Node, start: int, end: int) -> Iterator[str]:
    """The pieces of the text from start to end, the first and the last cut to size."""
    if isinstance(node, str):
        yield node[start:end]
        return
    base = 0
    first = bisect_right(node.ends, start)
    if first:
        base = node.ends[first - 1]
    for child, child_end in zip(node.children[first:], node.ends[first:], strict=True):
        if base >= end:
            break
        yield from leaves_between(child, max(start - base, 0), min(end, child_end) - base)
        base = child_end


def splice(root: Node, start: int, end: int, insert: str) -> Node:
    """The tree with `insert` in place of start to end; InvalidChange if either cuts a pair."""
    node, low, high = root, start, end
    path: list[tuple[Branch, int]] = []
    while not isinstance(node, str):
        at = bisect_left(node.ends, high)
        if at:
            base = node.ends[at - 1]
            if low < base:
                return _splice_across(root, start, end, insert)
            low -= base
            high -= base
        path.append((node, at))
        node = node.children[at]
    _check_cut(node, low)
    _check_cut(node, high)
    leaf = node[:low] + insert + node[high:]
    size = len(leaf)
    if size > MAX_LEAF or (size < MIN_LEAF and path):
        return _splice_across(root, start, end, insert)

    # One leaf takes it all: copy the branches above it.
    grown = size - len(node)
    node = leaf
    while path:
        branch, at = path.pop()
        children, ends = branch.children, branch.ends
        node = Branch(
            (*children[:at], node, *children[at + 1 :]),
            ends[:at] + tuple([stop + grown for stop in ends[at:]]) if grown else ends,
        )
    return node


def _splice_across(root: Node, start: int, end: int, insert: str) -> Node:
    """As `splice`, where leaves must be cut, joined or dropped."""
    return _root(_splice_row([root], start, end, insert))


def _splice_row(row: list[Node], start: int, end: int, insert: str) -> list[Node]:
    """Splice a row of nodes of one height; the new row, of the same height.

    The children of all the nodes that the edit touches go down as one row, so that what is left of
    the first and of the last can join.
    """
    ends = list(accumulate(map(len, row)))
    i = bisect_left(ends, start)
    j = min(bisect_right(ends, end), len(row) - 1)
    if j - i > 1:  # what lies wholly inside is gone
        end -= ends[j - 1] - ends[i]
        row = row[: i + 1] + row[j:]
        ends = list(accumulate(map(len, row)))
        j = i + 1
    # Too little left for a leaf: a neighbour joins in.
    lost = end - start - len(insert)
    while ends[j] - (ends[i - 1] if i else 0) - lost < MIN_LEAF and j - i + 1 < len(row):
        i, j = (i, j + 1) if j + 1 < len(row) else (i - 1, j)
    base = ends[i - 1] if i else 0
    start, end = start - base, end - base

    touched = row[i : j + 1]
    if isinstance(row[0], str):
        units = "".join(_strings(touched))
        _check_cut(units, start)
        _check_cut(units, end)
        return [*row[:i], *_leaves(units[:start] + insert + units[end:]), *row[j + 1 :]]
    children = _splice_row(_children(touched), start, end, insert)
    while len(children) < MIN_FAN and j - i + 1 < len(row):
        if j + 1 < len(row):
            j += 1
            children = children + _children(row[j : j + 1])
        else:
            i -= 1
            children = _children(row[i : i + 1]) + children
    return [*row[:i], *_branches(children), *row[j + 1 :]]


def _check_cut(leaf: str, at: int) -> None:
    if cuts_pair(leaf, at):
        raise InvalidChange("a cut through a surrogate pair")


def _strings(row: list[Node]) -> Iterator[str]:
    return (node for node in row if isinstance(node, str))


def _children(row: list[Node]) -> list[Node]:
    return [child for node in row if isinstance(node, Branch) for child in node.children]


def _root(row: list[Node]) -> Node:
    """One tree of a row of nodes."""
    while len(row) > 1:
        row = _branches(row)
    node = row[0]
    while isinstance(node, Branch) and len(node.children) == 1:
        node = node.children[0]
    return node


def _branches(row: list[Node]) -> list[Node]:
    """The row's parents, each with about as many children."""
    count = 1 if len(row) <= MAX_FAN else -(-len(row) // FAN)
    return [
        Branch(tuple(children), tuple(accumulate(map(len, children))))
        for children in (row[a:b] for a, b in pairwise(_cuts(len(row), count)))
    ]


def _leaves(units: str) -> list[Node]:
    """Leaves of about as many units."""
    count = 1 if len(units) <= MAX_LEAF else -(-len(units) // LEAF)
    cuts = [cut + cuts_pair(units, cut) for cut in _cuts(len(units), count)]
    return [units[a:b] for a, b in pairwise(cuts)]


def _cuts(size: int, count: int) -> list[int]:
    return [size * k // count for k in range(count + 1)]
