"""Rebasing a push over what was ordered since its base.

The limits here are constants of the log's format, not settings: every server must come to the same
verdict over the same log.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collab.errors import Stale
from collab.log.insertions import carry_insertions
from collab.text.change import SPLICE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.log.blocks import Block
    from collab.text import Change

MAX_BASE_DISTANCE = 10_000
"""How many revisions a push's base may lie behind the revision that the push follows."""

MAX_BASE_WEIGHT = 16 * 1024 * 1024
"""How much the pushes after a push's base may weigh (`weigh`), so that what a server has to hold of
the past is bounded in bytes, and not in revisions alone."""

REPLACEMENT_WEIGHT = 128
"""What a replaced section and the keep beside it weigh, besides their text."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')

MAX_REBASE_COST = 250_000
"""How many sections a rebase may meet: of both changes, at each mapping of one over the other.

Sections and not updates, since they are what takes time, and since a change may come to have more
of them while it is mapped: a deletion over insertions inside it does. A change counts for no less
than a splice.
"""


def weigh(change: Change, written: bytes) -> int:
    """What a change weighs, `written` in JSON: about the bytes that it takes in memory."""
    return len(written) + REPLACEMENT_WEIGHT * (1 + len(change.inserts))


def weigh_written(change: bytes) -> int:
    """The same, from the JSON alone: the replaced sections are the brackets outside its strings."""
    brackets = change.count(b"[")
    if brackets > 2:  # those of the change and of a splice; more may be in its text
        brackets = _STRING.sub(b"", change).count(b"[")
    return len(change) + REPLACEMENT_WEIGHT * brackets


def rebase(updates: Sequence[Change], concurrent: Sequence[Block]) -> tuple[Change, ...]:
    """Carry a push's updates over the updates that were ordered since its base (T8).

    Both apply to the push's base; the result applies after `concurrent`. It is that of
    `rebase_one_by_one`, by a shorter way where there is one: a splice over splices, and insertions
    over splices. What it costs is counted the same.

    Raises `Stale` when it costs too much, `InvalidChange` when lengths do not fit.
    """
    if not concurrent:
        return tuple(updates)
    distance = sum(len(block.changes) for block in concurrent)
    if len(updates) * distance * 2 * SPLICE_SIZE > MAX_REBASE_COST:
        raise _costly(distance)
    if len(updates) == 1:
        return (_carry(updates[0], concurrent, distance),)
    # Each insertion may cut each deletion in two, once.
    if len(updates) * distance * (2 * SPLICE_SIZE + len(updates) - 1) <= MAX_REBASE_COST:
        rebased = carry_insertions(updates, concurrent)
        if rebased is not None:
            return rebased
    return rebase_one_by_one(updates, [each for block in concurrent for each in block.changes])


def _carry(update: Change, concurrent: Sequence[Block], distance: int) -> Change:
    cost = 0
    for block in concurrent:
        mapped = block.map(update)
        if mapped is not None:
            update = mapped
            cost += len(block.changes) * 2 * SPLICE_SIZE
            continue
        for other in block.changes:
            cost += update.size + other.size
            if cost > MAX_REBASE_COST:
                raise _costly(distance)
            update = update.map(other)
    if cost > MAX_REBASE_COST:
        raise _costly(distance)
    return update


def rebase_one_by_one(
    updates: Sequence[Change], concurrent: Sequence[Change]
) -> tuple[Change, ...]:
    """Each update over each concurrent one, and each concurrent one over it, for the update that
    follows. Mapping over a composition instead makes other texts than the editors'.
    """
    over = list(concurrent)
    rebased = []
    cost = 0
    final = len(updates) - 1
    for index, update in enumerate(updates):
        mapped = update
        for place, other in enumerate(over):
            cost += mapped.size + other.size
            if cost > MAX_REBASE_COST:
                raise _costly(len(concurrent))
            if index < final:
                over[place] = other.map(mapped, before=True)
            mapped = mapped.map(other)
        rebased.append(mapped)
    return tuple(rebased)


def _costly(concurrent: int) -> Stale:
    return Stale(f"rebasing this push over {concurrent} updates costs too much")
