"""Rebasing a push over what was ordered since its base.

The limits here are constants of the log's format, not settings: every server must come to the same
verdict over the same log.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collab.errors import Stale
from collab.text.change import SPLICE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def rebase(updates: Sequence[Change], concurrent: Sequence[Change]) -> tuple[Change, ...]:
    """Carry a push's updates over the updates that were ordered since its base (T8).

    Both apply to the push's base; the result applies after `concurrent`. It goes one update at a
    time on both sides: each update over each concurrent one, and each concurrent one over it, for
    the update that follows. Mapping over a composition instead makes other texts than the editors'.

    Raises `Stale` when it costs too much, `InvalidChange` when lengths do not fit.
    """
    if not concurrent:
        return tuple(updates)
    if len(updates) * len(concurrent) * 2 * SPLICE_SIZE > MAX_REBASE_COST:
        raise _costly(concurrent)
    over = list(concurrent)
    rebased = []
    cost = 0
    final = len(updates) - 1
    for index, update in enumerate(updates):
        mapped = update
        for place, other in enumerate(over):
            cost += mapped.size + other.size
            if cost > MAX_REBASE_COST:
                raise _costly(concurrent)
            if index < final:
                over[place] = other.map(mapped, before=True)
            mapped = mapped.map(other)
        rebased.append(mapped)
    return tuple(rebased)


def _costly(concurrent: Sequence[Change]) -> Stale:
    return Stale(f"rebasing this push over {len(concurrent)} updates costs too much")
