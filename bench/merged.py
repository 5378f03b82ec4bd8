"""Who typed what in the merged order of two people's recording.

The flat recording has the same transactions as the concurrent one, but in an order of its own and
without their authors. Each author's transactions stand in it in the order they were typed, and none
before what its author had seen. That decides 99 places in a hundred; at the rest both authors typed
the same, and whoever typed last goes on.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Transaction: TypeAlias = dict[str, Any]

AUTHORS = (0, 1)


def who_typed(concurrent: list[Transaction], flat: list[Transaction]) -> list[int]:
    """The author of each flat transaction. Raises ValueError if the two do not belong together."""
    lanes = _lanes(concurrent)
    wanted = [_what(transaction) for transaction in flat]

    def steps(first: int, done: int) -> list[tuple[int, int]]:
        """Who can have typed number `done`, if author 0 had typed `first`: author, then `first`."""
        counts = first, done - first
        return [
            (author, first + (author == 0))
            for author in AUTHORS
            if counts[author] < len(lanes[author])
            and lanes[author][counts[author]][0] == wanted[done]
            and lanes[author][counts[author]][1] <= counts[1 - author]
        ]

    # How many of author 0's can be done at each place, judged from the beginning, then the end.
    possible = [{0}]
    for done in range(len(flat)):
        possible.append({then for first in possible[-1] for _, then in steps(first, done)})
    for done in reversed(range(len(flat))):
        possible[done] = {
            first
            for first in possible[done]
            if any(then in possible[done + 1] for _, then in steps(first, done))
        }
    if possible[0] != {0} or sum(map(len, lanes)) != len(flat):
        raise ValueError("the flat recording is not a merge of the concurrent one")

    authors: list[int] = []
    first, last = 0, 0
    for done in range(len(flat)):
        choices = {a: then for a, then in steps(first, done) if then in possible[done + 1]}
        last = last if last in choices else 1 - last
        first = choices[last]
        authors.append(last)
    return authors


def _lanes(concurrent: list[Transaction]) -> list[list[tuple[object, int]]]:
    """Each author's transactions in order: what it was, and how many of the other's were seen."""
    lanes: list[list[tuple[object, int]]] = [[] for _ in AUTHORS]
    seen: list[tuple[int, int]] = []  # after each transaction, how many of each author's
    for transaction in concurrent:
        author = transaction["agent"]
        parents = [seen[parent] for parent in transaction["parents"]]
        counts = [max((parent[a] for parent in parents), default=0) for a in AUTHORS]
        lanes[author].append((_what(transaction), counts[1 - author]))
        counts[author] += 1
        seen.append((counts[0], counts[1]))
    return lanes


def _what(transaction: Transaction) -> object:
    """What was typed, without its place: that differs between the two orders."""
    return [patch[1:] for patch in transaction["patches"]]
