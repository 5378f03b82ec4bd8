"""Rebasing a push that only inserts, as typing does, over splices.

In general both sides are mapped over one another, update by update. But an insertion goes where the
place in the base's text goes that it stands at, or else where the insertion goes that it stands in;
and on which side of the others of its push it stands does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.log.blocks import Block
    from collab.text import Change

MAX_UPDATES = 32
"""In a push: each is compared with those before it."""


def carry_insertions(
    updates: Sequence[Change], blocks: Sequence[Block]
) -> tuple[Change, ...] | None:
    """A push over all changes of the blocks; None where it is not so simple."""
    if len(updates) > MAX_UPDATES or not _only_insert(updates):
        return None
    base = updates[0].length
    length = blocks[-1].changes[-1].new_length
    moved: dict[int, int] = {}  # where places in the base's text have gone
    starts: list[int] = []
    for number, update in enumerate(updates):
        place, host, before = _place(update.start, updates[:number])
        if host is not None:
            starts.append(starts[host] + place + before)
            continue
        if place not in moved:
            carried = _carry(update.moved(base, place), blocks)
            if carried is None:
                return None
            moved[place] = carried.start
        starts.append(moved[place] + before)
    return tuple(
        update.moved(length + update.length - base, start)
        for update, start in zip(updates, starts, strict=True)
    )


def _only_insert(updates: Sequence[Change]) -> bool:
    length = updates[0].length
    for update in updates:
        splice = update.splice
        if splice is None or splice[1] or not splice[2] or update.length != length:
            return False
        length = update.new_length
    return True


def _place(start: int, former: Sequence[Change]) -> tuple[int, int | None, int]:
    """Where an insertion stands that comes after others of its push: at a place of the base's text,
    or of what the `host` among them inserts; and how many units of the others stand before it.
    """
    before = 0
    for number in reversed(range(len(former))):
        other, size = former[number].start, former[number].new_length - former[number].length
        if start >= other + size:
            start -= size
            before += size
        elif start > other:
            return start - other, number, before
    return start, None, before


def _carry(change: Change, blocks: Sequence[Block]) -> Change | None:
    carried: Change | None = change
    for block in blocks:
        if carried is None:
            break
        carried = block.map(carried)
    return carried
