"""Rebasing a push over what was ordered since its base.

The limits here are constants of the log's format, not settings: every server must come to the same
verdict over the same log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.text import Change

MAX_BASE_DISTANCE = 10_000
"""How many revisions a push's base may lie behind the revision that the push follows."""

MAX_REBASE_COST = 50_000
"""What a rebase may cost: the weight of the push's updates times that of the concurrent ones."""

SECTIONS_PER_WEIGHT = 8


def weight(update: Change) -> int:
    """What mapping over an update costs: 1 for a splice, and 1 more for every 8 sections."""
    return 1 + len(update.sections) // SECTIONS_PER_WEIGHT


def rebase(updates: Sequence[Change], concurrent: Sequence[Change]) -> tuple[Change, ...]:
    """Carry a push's updates over the updates that were ordered since its base (T8).

    Both apply to the push's base; the result applies after `concurrent`. It goes one update at a
    time on both sides: each update over each concurrent one, and each concurrent one over it, for
    the update that follows. Mapping over a composition instead makes other texts than the editors'.
    """
    if not concurrent:
        return tuple(updates)
    over = list(concurrent)
    rebased = []
    final = len(updates) - 1
    for index, update in enumerate(updates):
        mapped = update
        if index == final:
            for other in over:
                mapped = mapped.map(other)
        else:
            for place, other in enumerate(over):
                over[place] = other.map(mapped, before=True)
                mapped = mapped.map(other)
        rebased.append(mapped)
    return tuple(rebased)
