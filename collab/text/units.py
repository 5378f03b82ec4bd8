"""Unit strings: text counted as browsers and editors count it, in UTF-16 code units (T1).

A unit string is a `str` in which a character beyond U+FFFF stands as its two surrogates, so that
`len`, slices and `+` are right in units. Only its ends may cut a pair, and only in a slice.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ASTRAL = re.compile("([\U00010000-\U0010ffff])")
_PAIR = re.compile("([\ud800-\udbff][\udc00-\udfff])")

PIECE = 65_536
"""Longer strings are taken in pieces, so that other threads come in between."""


def to_units(s: str) -> str:
    """UnicodeEncodeError (a ValueError) for an unpaired surrogate."""
    if s.isascii() or len(s.encode("utf-16-le")) == 2 * len(s):
        return s
    if len(s) > PIECE:
        return "".join(to_units(s[at : at + PIECE]) for at in range(0, len(s), PIECE))
    parts = _ASTRAL.split(s)  # every other one is an astral character
    parts[1::2] = map(_halves, parts[1::2])
    return "".join(parts)


def from_units(u: str) -> str:
    """`from_units(to_units(s)) == s`; UnicodeEncodeError (a ValueError) for a cut pair."""
    if u.isascii():
        return u
    parts = _PAIR.split(u)  # every other one is a pair
    parts[1::2] = map(_character, parts[1::2])
    s = "".join(parts)
    s.encode("utf-16-le")  # finds what is left of a cut pair
    return s


def cuts_pair(u: str, at: int) -> bool:
    """Whether `at` lies between the two halves of a pair."""
    return 0 < at < len(u) and "\ud800" <= u[at - 1] <= "\udbff" and "\udc00" <= u[at] <= "\udfff"


@lru_cache(maxsize=4096)
def _halves(character: str) -> str:
    beyond = ord(character) - 0x10000
    return chr(0xD800 + (beyond >> 10)) + chr(0xDC00 + (beyond & 0x3FF))


@lru_cache(maxsize=4096)
def _character(pair: str) -> str:
    return chr(0x10000 + ((ord(pair[0]) - 0xD800) << 10) + (ord(pair[1]) - 0xDC00))
