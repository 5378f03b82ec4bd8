"""A change of very many sections, cut into stretches, so that another change meets only those near
it: mapping over the whole of it walks over all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.errors import InvalidChange
from collab.text.change import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collab.text.algebra import Section

SIZE = 64
"""Sections of a stretch, about. It ends amid what is kept."""


class Stretches:
    """What it makes is valid wherever `Change` would be; where both insert at one place, `Change`
    may put them the other way round.
    """

    def __init__(self, change: Change) -> None:
        self._parts = list(_cut(change.sections))

    @property
    def change(self) -> Change:
        """All of it."""
        return Change(tuple(_joined(section for part in self._parts for section in part.sections)))

    def carry(self, change: Change) -> Change:
        """`change` as it reads after this one; this one becomes what it is after `change`."""
        place, near = self._near(change, [part.length for part in self._parts])
        part = self._parts[place]
        before = sum(each.new_length for each in self._parts[:place])
        after = sum(each.new_length for each in self._parts[place + 1 :])
        self._put(place, part.map(near, before=True))
        return Change(tuple(_joined([(before, None), *near.map(part).sections, (after, None)])))

    def add(self, change: Change) -> None:
        """From here on, this one does what `change` does after it, too."""
        place, near = self._near(change, [part.new_length for part in self._parts])
        self._put(place, self._parts[place].compose(near))

    def _near(self, change: Change, lengths: list[int]) -> tuple[int, Change]:
        """The place of the one part that a change meets, and the change as that part sees it.

        `lengths` are those of the parts in the text that the change applies to. Where it meets
        several, they become one.
        """
        if change.length != sum(lengths):
            raise InvalidChange(f"lengths do not fit: {change.length} and {sum(lengths)} units")
        sections = list(change.sections)
        head = sections.pop(0)[0] if sections and sections[0][1] is None else 0
        tail = sections.pop()[0] if sections and sections[-1][1] is None else 0
        end = change.length - tail
        first = begin = 0
        while first < len(lengths) - 1 and begin + lengths[first] < head:
            begin += lengths[first]
            first += 1
        last, reach = first, begin + lengths[first]
        while reach < end:
            last += 1
            reach += lengths[last]
        if last > first:
            parts = self._parts[first : last + 1]
            together = _joined(section for part in parts for section in part.sections)
            self._parts[first : last + 1] = [Change(tuple(together))]
        near = _joined([(head - begin, None), *sections, (reach - end, None)])
        return first, Change(tuple(near))

    def _put(self, place: int, part: Change) -> None:
        self._parts[place : place + 1] = (
            _cut(part.sections) if len(part.sections) > 2 * SIZE else [part]
        )


def _cut(sections: Iterable[Section]) -> Iterator[Change]:
    part: list[Section] = []
    for units, insert in sections:
        if insert is None and units > 1 and len(part) >= SIZE:
            yield Change((*part, (units // 2, None)))
            part = [(units - units // 2, None)]
        else:
            part.append((units, insert))
    yield Change(tuple(part))


def _joined(sections: Iterable[Section]) -> Iterator[Section]:
    """The same sections without keeps of nothing, and each two keeps as one."""
    kept = 0
    for units, insert in sections:
        if insert is None:
            kept += units
            continue
        if kept:
            yield kept, None
        kept = 0
        yield units, insert
    if kept:
        yield kept, None
