"""A change of a text: what one update does (T3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.errors import InvalidChange
from collab.text import algebra
from collab.text.notation import read_sections, write_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.text.algebra import Section, Sections
    from collab.text.steps import Steps
    from collab.text.text import Text


SPLICE_SIZE = 3
"""Sections of a splice: keep, one replaced section, keep."""

_new = object.__new__


class Change:
    """A list of sections: `(n, None)` keeps n units, `(n, insert)` puts a unit string in their
    place. Immutable; equal if the sections are.

    Nearly every change is one *splice*: one replaced section amid keeps. Three numbers and the
    insert say it all, and `map` and `apply` take a short way; it leads where the long one does.
    """

    __slots__ = ("_deleted", "_insert", "_length", "_sections", "_start")

    _length: int
    """Units of the text that the change applies to."""
    _start: int
    """Where the splice is; -1 if the change is none."""
    _deleted: int
    _insert: str
    _sections: Sections | None
    """None for a splice whose sections nobody has asked for yet."""

    def __init__(self, sections: Sections) -> None:
        """Takes well-formed sections without a keep of nothing, unchecked."""
        self._sections = sections
        self._start, self._deleted, self._insert = -1, 0, ""
        length = replaced = 0
        for units, insert in sections:
            if insert is not None:
                replaced += 1
                self._start, self._deleted, self._insert = length, units, insert
            length += units
        self._length = length
        if replaced != 1:
            self._start = -1

    # -- made from ----------------------------------------------------------------------------

    @classmethod
    def from_json(cls, value: object) -> Change:
        """Read what a JSON decoder made of a change; InvalidChange for anything else (T3, T5).

        A keep of no units is dropped: it says nothing, and editors choke on it. All other sections
        stay as they came.
        """
        return cls(read_sections(value))

    @classmethod
    def empty(cls, length: int) -> Change:
        """Keeps everything (T6)."""
        return cls(((length, None),) if length else ())

    @classmethod
    def replace(cls, length: int, start: int, end: int, insert: str) -> Change:
        """Puts an ordinary string in place of start to end, in a text of so many units.

        InvalidChange for a range outside the text, or an insert that no change may bear (T5).
        """
        if not 0 <= start <= end <= length:
            raise InvalidChange(f"no range of a text of {length} units: {start} to {end}")
        lines: list[int | str] = [end - start, *insert.split("\n")]
        return cls.from_json([start, lines, length - end])

    # -- what it is ---------------------------------------------------------------------------

    @property
    def length(self) -> int:
        """Units of the text that it applies to."""
        return self._length

    @property
    def new_length(self) -> int:
        """Units of the text that it makes."""
        if self._start >= 0:
            return self._length - self._deleted + len(self._insert)
        return sum(units if insert is None else len(insert) for units, insert in self.sections)

    @property
    def sections(self) -> Sections:
        """As `to_json` writes them; inserts are unit strings."""
        if self._sections is None:
            start, rest = self._start, self._length - self._start - self._deleted
            splice: Section = (self._deleted, self._insert)
            if start:
                self._sections = (
                    ((start, None), splice, (rest, None)) if rest else ((start, None), splice)
                )
            else:
                self._sections = (splice, (rest, None)) if rest else (splice,)
        return self._sections

    @property
    def size(self) -> int:
        """What mapping it or over it costs: its sections, and no less than a splice's."""
        return SPLICE_SIZE if self._start >= 0 else max(len(self.sections), SPLICE_SIZE)

    @property
    def inserts(self) -> tuple[str, ...]:
        """What each replaced section puts in, as unit strings."""
        if self._start >= 0:
            return (self._insert,)
        return tuple(insert for _, insert in self.sections if insert is not None)

    @property
    def splice(self) -> tuple[int, int, str] | None:
        """Where it starts, how many units it deletes there, and what it inserts; None if it is no
        splice.
        """
        return (self._start, self._deleted, self._insert) if self._start >= 0 else None

    @property
    def start(self) -> int:
        """Where its splice is; -1 if it is none."""
        return self._start

    @property
    def is_empty(self) -> bool:
        """Whether it keeps everything."""
        return self._start < 0 and all(insert is None for _, insert in self.sections)

    def to_json(self) -> list[int | list[int | str]]:
        """Its form in JSON (T3): `Change.from_json(change.to_json()) == change`."""
        return write_sections(self.sections)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return self.sections == other.sections

    def __hash__(self) -> int:
        return hash(self.sections)

    def __repr__(self) -> str:
        """`2 3:1 4`: keeps 2, puts 1 unit in place of 3, keeps 4. Logs learn nobody's text."""
        parts = (
            str(units) if insert is None else f"{units}:{len(insert)}"
            for units, insert in self.sections
        )
        return f"<Change {' '.join(parts)}>"

    # -- the algebra --------------------------------------------------------------------------

    def apply(self, text: Text) -> Text:
        """The text that it makes.

        InvalidChange if the lengths differ (T4), or if a section that is no keep begins or ends
        inside a surrogate pair of the text (T5).
        """
        if self._length != len(text):
            raise _misfit(self._length, len(text))
        if self._start >= 0:
            return text.splice(self._start, self._start + self._deleted, self._insert)
        # From the end, so that positions hold.
        end = self._length
        for units, insert in reversed(self.sections):
            if insert is not None:
                text = text.splice(end - units, end, insert)
            end -= units
        return text

    def compose(self, other: Change) -> Change:
        """The change and then `other`, as one: `a.compose(b).apply(t) == b.apply(a.apply(t))`."""
        if self.new_length != other._length:
            raise _misfit(self.new_length, other._length)
        if other._says_nothing:
            return self
        if self._says_nothing:
            return other
        return Change(algebra.compose_sections(self.sections, other.sections))

    def map(self, other: Change, before: bool = False) -> Change:
        """What the change is after `other`; both apply to the same text.

        `a.compose(b.map(a))` makes the same text as `b.compose(a.map(b, before=True))`. `before`
        says whose insertion comes first where both insert.
        """
        return self.map_over((other,), before) or self._map_sections(other, before)

    def map_over(self, chain: Sequence[Change], before: bool = False) -> Change | None:
        """What the change is after all of a chain, in which each applies to what the former makes.

        `map` over one after the other comes to the same. None where one of them is no splice, or
        what the change would become.
        """
        other = chain[0]
        if self._length != other._length:
            raise _misfit(self._length, other._length)
        start, deleted = self._start, self._deleted
        if start < 0:
            return None
        # The hottest lines of a server. The law is that of algebra.map_sections.
        for other in chain:
            other_start = other._start
            if start < other_start:
                reach = start + deleted - other_start
                if reach > 0:
                    if reach <= other._deleted:
                        deleted -= reach
                    elif other._insert:  # on both sides of it
                        return None
                    else:
                        deleted -= other._deleted
            elif start > other_start:
                if other_start < 0:
                    return None
                other_deleted = other._deleted
                reach = other_start + other_deleted - start
                if reach > 0:  # begins in what other has deleted
                    start = other_start + len(other._insert)
                    deleted = deleted - reach if deleted > reach else 0
                else:
                    start += len(other._insert) - other_deleted
            elif deleted > other._deleted:
                start += len(other._insert)
                deleted -= other._deleted
            else:
                if deleted == other._deleted and not before:
                    start += len(other._insert)
                deleted = 0
        length = other._length - other._deleted + len(other._insert)
        return _splice(length, start, deleted, self._insert)

    def map_by(self, steps: Steps) -> Change | None:
        """What `map_over` gives for the changes that the steps were made of. None where that is
        None, or the steps do not tell.
        """
        if self._length != steps.length:
            raise _misfit(self._length, steps.length)
        start = None if self._start < 0 else steps.over(self._start, self._deleted)
        if start is None:
            return None
        return _splice(steps.new_length, start, self._deleted, self._insert)

    def moved(self, length: int, start: int) -> Change:
        """The same splice elsewhere, in a text of so many units."""
        return _splice(length, start, self._deleted, self._insert)

    def _map_sections(self, other: Change, before: bool) -> Change:
        if other._says_nothing:
            return self
        if self._says_nothing:
            return Change.empty(other.new_length)
        return Change(algebra.map_sections(self.sections, other.sections, before=before))

    def invert(self, text: Text) -> Change:
        """The way back: `a.invert(t).apply(a.apply(t)) == t`."""
        if self._length != len(text):
            raise _misfit(self._length, len(text))
        removed: list[str] = []
        end = 0
        for units, insert in self.sections:
            start, end = end, end + units
            if insert is not None:
                removed.append(text.slice(start, end))
        return Change(algebra.invert_sections(self.sections, removed))

    def map_position(self, pos: int, assoc: int = -1) -> int:
        """Where a position of the old text is in the new one.

        Where text was put, `assoc` says on which side of it to stay: before it if negative, else
        after it. One in deleted text goes where the deletion was.
        """
        if not 0 <= pos <= self._length:
            raise ValueError(f"no position of a text of {self._length} units: {pos}")
        return algebra.map_position(self.sections, pos, assoc)

    @property
    def _says_nothing(self) -> bool:
        """Whether it is one keep at most: then the other change of a pair is the result."""
        return self._start < 0 and (
            not self.sections or (len(self.sections) == 1 and self.sections[0][1] is None)
        )


def _splice(length: int, start: int, deleted: int, insert: str) -> Change:
    if not deleted and not insert:
        return Change.empty(length)
    change = _new(Change)
    change._length = length
    change._start = start
    change._deleted = deleted
    change._insert = insert
    change._sections = None
    return change


def _misfit(length: int, other: int) -> InvalidChange:
    return InvalidChange(f"lengths do not fit: {length} and {other} units")
