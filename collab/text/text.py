"""A document's text: an immutable value, however long, whose edits cost a few small copies."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from collab.text import rope
from collab.text.units import from_units, to_units

if TYPE_CHECKING:
    from collections.abc import Iterator


class Text:
    """Positions and `len` count UTF-16 code units (T1); `str(text)` is an ordinary string.

    A position outside the text is a ValueError: whoever takes positions from others checks them.
    """

    __slots__ = ("_length", "_root")

    _length: int
    _root: rope.Node

    def __init__(self) -> None:
        self._root = ""
        self._length = 0

    @classmethod
    def of(cls, s: str) -> Text:
        """UnicodeEncodeError (a ValueError) for an unpaired surrogate."""
        return cls.of_units(to_units(s))

    @classmethod
    def of_units(cls, units: str) -> Text:
        return cls._of_root(rope.build(units))

    @classmethod
    def empty(cls) -> Text:
        return cls()

    @classmethod
    def _of_root(cls, root: rope.Node) -> Text:
        text = cls.__new__(cls)
        text._root = root
        text._length = len(root)
        return text

    def __len__(self) -> int:
        return self._length

    def __str__(self) -> str:
        return "".join(map(from_units, self.leaves()))  # so that other threads come in between

    def __repr__(self) -> str:
        return f"<Text of {self._length} units>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Text):
            return NotImplemented
        return self is other or (self._length == other._length and self.units() == other.units())

    __hash__ = None  # type: ignore[assignment]  # nobody needs it, and it would read the whole text

    def units(self) -> str:
        """The whole text as one unit string."""
        return "".join(self.leaves())

    def leaves(self) -> Iterator[str]:
        """The text in order, in unit strings of bounded size that cut no surrogate pair."""
        return rope.leaves(self._root)

    def slice(self, start: int, end: int) -> str:
        """The units from start to end, as a unit string; it may cut a pair at its ends."""
        self._check_range(start, end)
        return "".join(rope.leaves_between(self._root, start, end))

    def splice(self, start: int, end: int, insert: str) -> Text:
        """The text with the unit string `insert` in place of start to end.

        InvalidChange if start or end lies inside a surrogate pair (T5).
        """
        self._check_range(start, end)
        return self._of_root(rope.splice(self._root, start, end, insert))

    def crc32(self) -> int:
        """CRC-32, as zlib's, of the text in UTF-16, little endian, without byte order mark (U6)."""
        crc = 0
        for leaf in self.leaves():
            crc = zlib.crc32(leaf.encode("utf-16-le", "surrogatepass"), crc)
        return crc

    def _check_range(self, start: int, end: int) -> None:
        if not 0 <= start <= end <= self._length:
            raise ValueError(f"no range of a text of {self._length} units: {start} to {end}")
