"""Sections as they are written in JSON (T3): `[2, [1, "x", ""], 3]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.errors import InvalidChange
from collab.text.units import from_units, to_units

if TYPE_CHECKING:
    from collab.text.algebra import Section, Sections

MAX_UNITS = 2**53 - 1
"""The largest number that JSON carries safely."""


def read_sections(value: object) -> Sections:
    """InvalidChange for anything that is not of this form (T5)."""
    if type(value) is not list:
        raise InvalidChange("a change is a list of sections")
    sections: list[Section] = []
    for section in value:
        if type(section) is int:
            if units := _units(section):
                sections.append((units, None))
        elif type(section) is list and section:
            sections.append((_units(section[0]), _insert(section[1:])))
        else:
            raise InvalidChange("a section is a number, or a list of a number and lines")
    return tuple(sections)


def write_sections(sections: Sections) -> list[int | list[int | str]]:
    """The form that `read_sections` reads."""
    return [
        units if insert is None else [units, *from_units(insert).split("\n")] if insert else [units]
        for units, insert in sections
    ]


def _units(number: object) -> int:
    if type(number) is not int:
        raise InvalidChange("a section counts whole units")
    if not 0 <= number <= MAX_UNITS:
        raise InvalidChange("a section's number of units is negative or too large")
    return number


def _insert(lines: list[object]) -> str:
    texts: list[str] = []
    for line in lines:
        if type(line) is not str:
            raise InvalidChange("a line is a string")
        if "\n" in line or "\r" in line or "\0" in line:
            raise InvalidChange("a line contains a line break or NUL")
        texts.append(line)
    try:
        return to_units("\n".join(texts))
    except UnicodeEncodeError:
        raise InvalidChange("a line contains an unpaired surrogate") from None
