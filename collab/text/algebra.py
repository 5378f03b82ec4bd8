"""The algebra of changes, on their sections (T7): map, compose, invert, positions.

Every function here gives, section by section, what `@codemirror/state` gives, and expects lengths
that fit; `Change` checks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Section: TypeAlias = tuple[int, str | None]
"""`(units, None)` keeps the units; `(units, insert)` puts a unit string in their place."""

Sections: TypeAlias = tuple[Section, ...]


def map_sections(own: Sections, over: Sections, *, before: bool) -> Sections:
    """`own` as it reads after `over`; both apply to the same text.

    An insertion stands at the start of its section. Where a section of each starts, the one that
    deletes fewer units puts its insertion first; of two that delete as many, `own` if `before`.
    """
    out = _Writer()
    a, b = _Walk(own), _Walk(over)
    deleted, inserted = 0, ""  # what a's section has come to so far
    while True:
        if a.pending and not (
            b.pending and (b.units < a.units or (b.units == a.units and not before))
        ):
            inserted, a.pending = a.pending, ""
        elif b.pending:
            # It stands in the text now: kept, even amid what a deletes.
            out.replace(deleted, inserted)
            deleted, inserted = 0, ""
            out.keep(len(b.pending))
            b.pending = ""
        elif a.left and b.left:
            stretch = min(a.left, b.left)
            a.left -= stretch
            b.left -= stretch
            if b.insert is not None:
                pass  # b has deleted these units
            elif a.insert is None:
                out.keep(stretch)
            else:
                deleted += stretch
        else:
            return out.sections()
        if not a.left and not a.pending:
            out.replace(deleted, inserted)
            deleted, inserted = 0, ""
            a.forward()
        if not b.left and not b.pending:
            b.forward()


def compose_sections(first: Sections, second: Sections) -> Sections:
    """What `first` and then `second` do; `second` applies to what `first` makes.

    At one place, what `first` deletes stands before what `second` inserts. Stretches that an
    insertion of `first` or a deletion of `second` reaches across become one section.
    """
    out = _Writer()
    a, b = _WalkMade(first), _Walk(second)
    held = False  # whether the section under way reaches on
    while True:
        if a.insert == "":
            out.replace(a.units, "", joined=held)
            a.forward()
        elif b.insert is not None and not b.units:
            out.replace(0, b.insert, joined=held)
            b.forward()
        elif a.left and b.left:
            stretch = min(a.left, b.left)
            began = False
            if a.insert is None and b.insert is None:
                out.keep(stretch)
            elif a.insert is None:  # was there, and is deleted
                began = out.replace(stretch, b.pending, joined=held)
            elif b.insert is None:  # inserted, and kept
                at = len(a.insert) - a.left
                began = out.replace(a.units, a.insert[at : at + stretch], joined=held)
            else:  # inserted, and deleted again
                began = out.replace(a.units, b.pending, joined=held)
            if a.insert is not None:
                a.units = 0  # what it deletes went with its first stretch
            b.pending = ""
            a.left -= stretch
            b.left -= stretch
            # One that only went into the section before it holds nothing together.
            held = (held or began) and (
                (a.left > 0 and a.insert is not None) or (b.left > 0 and b.insert is not None)
            )
            if not a.left:
                a.forward()
            if not b.left:
                b.forward()
        else:
            return out.sections()


def invert_sections(sections: Sections, removed: Iterable[str]) -> Sections:
    """The way back; `removed` is what each section that is no keep deletes, in order."""
    lost = iter(removed)
    return tuple(
        (units, None) if insert is None else (len(insert), next(lost)) for units, insert in sections
    )


def map_position(sections: Sections, pos: int, assoc: int) -> int:
    """Where `pos` is afterwards; see `Change.map_position`."""
    old = new = 0
    for units, insert in sections:
        end = old + units
        if insert is None:
            if pos < end:
                break
            new += units
        else:
            if pos < end or (pos == end and not units and assoc < 0):
                return new if pos == old or assoc < 0 else new + len(insert)
            new += len(insert)
        old = end
    return new + pos - old


class _Walk:
    """Walks over sections along the text that they apply to."""

    __slots__ = ("_rest", "insert", "left", "pending", "units")

    units: int
    insert: str | None
    left: int
    """Units of this section still to walk over."""
    pending: str
    """What this section inserts, until that is done."""

    def __init__(self, sections: Sections) -> None:
        self._rest = iter(sections)
        self.forward()

    def forward(self) -> None:
        """Go to the next section that does anything, or to the end: a keep of nothing."""
        for units, insert in self._rest:
            if units or insert:
                break
        else:
            units, insert = 0, None
        self.units = self.left = units
        self.insert = insert
        self.pending = insert or ""


class _WalkMade(_Walk):
    """Walks over sections along the text that they make."""

    __slots__ = ()

    def forward(self) -> None:
        super().forward()
        if self.insert is not None:
            self.left = len(self.insert)


class _Writer:
    """Writes sections, and joins those that the library joins: keeps, pure deletions and pure
    insertions, each with their like.
    """

    __slots__ = ("_done", "_inserts", "_units")

    def __init__(self) -> None:
        self._done: list[Section] = []
        # The last section, not in _done yet; a keep of nothing at the start.
        self._units = 0
        self._inserts: list[str] | None = None

    def keep(self, units: int) -> None:
        if self._inserts is not None:
            self._close()
        self._units += units

    def replace(self, units: int, insert: str, *, joined: bool = False) -> bool:
        """Whether it began a section; with `joined`, it goes into the last one in any case."""
        if not units and not insert:
            return False
        if self._inserts is not None and (
            joined or (not insert and not self._inserts) or (not units and not self._units)
        ):
            self._units += units
            if insert:
                self._inserts.append(insert)
            return False
        self._close()
        self._units, self._inserts = units, [insert] if insert else []
        return True

    def sections(self) -> Sections:
        self._close()
        return tuple(self._done)

    def _close(self) -> None:
        if self._inserts is not None:
            self._done.append((self._units, "".join(self._inserts)))
        elif self._units:
            self._done.append((self._units, None))
        self._units, self._inserts = 0, None
