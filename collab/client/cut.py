"""Cutting a change that is too large for one push into several that do the same (L2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from collab.client.wire import UNIT_BYTES
from collab.errors import TooLarge
from collab.text import Change, from_units
from collab.text.units import cuts_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collab.text.algebra import Section

SECTION_BYTES = 24
"""A section takes no more in JSON beside its text: its number, two brackets, quotes, commas."""


def json_bytes(change: Change) -> bytes:
    return msgspec.json.encode(change.to_json())


def cut(change: Change, max_sections: int, max_bytes: int) -> list[Change]:
    """Changes of no more sections and bytes of JSON each that together do what `change` does.

    The first applies to the text that `change` applies to, each next one to the result of the one
    before. Raises TooLarge where the limits leave no room for a single character.
    """
    # A piece is a group of sections between what was done before and what is still to do.
    sections_left = max_sections - 2
    bytes_left = max_bytes - 3 * SECTION_BYTES
    max_units = bytes_left // UNIT_BYTES
    if sections_left < 1 or max_units < 2:
        raise TooLarge("the limits leave no room for an edit")
    pieces: list[Change] = []
    done, rest = 0, change.length  # units of the new text before the piece, of the old one after it
    group: list[Section] = []
    size = 0
    for section in _small(change.sections, max_units):
        section_size = _size(section)
        if group and (len(group) == sections_left or size + section_size > bytes_left):
            pieces.append(_piece(done, group, rest))
            done += sum(units if insert is None else len(insert) for units, insert in group)
            group, size = [], 0
        group.append(section)
        size += section_size
        rest -= section[0]
    pieces.append(_piece(done, group, rest))
    return pieces


def _piece(done: int, group: list[Section], rest: int) -> Change:
    sections = [(done, None), *group, (rest, None)]
    return Change(tuple(section for section in sections if section != (0, None)))


def _small(sections: tuple[Section, ...], max_units: int) -> Iterator[Section]:
    """The sections, with longer insertions in parts: the later ones delete nothing."""
    for units, insert in sections:
        if insert is None or len(insert) <= max_units:
            yield units, insert
            continue
        start = 0
        while start < len(insert):
            end = min(start + max_units, len(insert))
            end -= cuts_pair(insert, end)
            yield units if start == 0 else 0, insert[start:end]
            start = end


def _size(section: Section) -> int:
    insert = section[1]
    if not insert:
        return SECTION_BYTES
    return SECTION_BYTES + len(msgspec.json.encode(from_units(insert).split("\n")))
