"""A log's changes in blocks: pushes that are concurrent to the same ones share the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.text.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.text import Change

SIZE = 64
"""Changes in a block."""

WORTH_STEPS = 12
"""After so many uses a block gets its steps: to make them takes about what these took."""

MAX_BLOCKS = 64
"""So many are remembered, the last ones: few pushes lie far back."""


class Block:
    """Some changes, one at least, of which each applies to what the former makes."""

    __slots__ = ("_steps", "_uses", "changes")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self._steps: Steps | None = None
        self._uses = 0

    def map(self, change: Change) -> Change | None:
        """`change.map_over(self.changes)`."""
        self._uses += 1
        if self._uses == WORTH_STEPS and all(each.splice for each in self.changes):
            self._steps = Steps(self.changes)
        mapped = None if self._steps is None else change.map_by(self._steps)
        return change.map_over(self.changes) if mapped is None else mapped


class Blocks:
    """The blocks of one history. The changes of one that is full never change."""

    def __init__(self) -> None:
        self._full: dict[int, Block] = {}

    def of(self, revision: int, changes: Sequence[Change]) -> list[Block]:
        """The changes after a revision, up to the end of the history, in blocks."""
        blocks, end = [], len(changes)
        at = 0
        while at < end:
            number, begun = divmod(revision + at, SIZE)
            stop = min(at + SIZE - begun, end)
            if stop - at < SIZE:
                blocks.append(Block(changes[at:stop]))
            else:
                blocks.append(self._full.get(number) or self._add(number, changes[at:stop]))
            at = stop
        return blocks

    def _add(self, number: int, changes: Sequence[Change]) -> Block:
        block = self._full[number] = Block(changes)
        if len(self._full) > MAX_BLOCKS:
            del self._full[min(self._full)]
        return block
