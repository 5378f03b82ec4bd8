"""Which of its changes put each unit of a text where it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collab.text.change import Change
from collab.text.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SOURCES = 0xD7FF
"""The largest source: those above would look like halves of surrogate pairs."""

_RUN = re.compile(r"(.)\1*", re.DOTALL)


class Blame:
    """The sources of a text's units. Sources are numbers from 1; 0 is what was there before.

    Beside the text stands another of the same length, in which each unit is its source. What puts
    units into the one puts their source into the other, so that the work is a replay of the
    changes, however long the text.
    """

    def __init__(self, length: int) -> None:
        """Of a text of so many units."""
        self._sources = Text.of_units("\0" * length)

    def apply(self, change: Change, source: int) -> None:
        """The text becomes what a change makes of it. Raises `InvalidChange` (T4)."""
        assert 0 < source <= MAX_SOURCES
        unit = chr(source)
        sourced = Change(
            tuple(
                (units, None if insert is None else unit * len(insert))
                for units, insert in change.sections
            )
        )
        self._sources = sourced.apply(self._sources)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Length and source of each span of the text, in order; no two neighbours are alike."""
        length, source = 0, 0
        for leaf in self._sources.leaves():
            for run in _RUN.finditer(leaf):
                if ord(run[1]) != source:
                    if length:
                        yield length, source
                    length, source = 0, ord(run[1])
                length += len(run[0])
        if length:
            yield length, source
