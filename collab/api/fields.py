"""What people may write: names and titles of one line, and whole texts."""

from __future__ import annotations

import re
import unicodedata

from collab.errors import TextTooLong, Unprocessable

MAX_INTEGER = 2**53 - 1
"""The largest whole number that JSON carries safely."""

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, surrogates, and line and paragraph separators."""

USERNAME = re.compile(r"^[A-Za-z0-9._@+-]{3,64}$", re.ASCII)
"""In ASCII alone: no two usernames look alike."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""One that JSON could not join to another."""


def one_line(written: str, pointer: str, max_units: int) -> str:
    """What was written without the white space around it. Raises `Unprocessable`."""
    line = written.strip()
    if not 1 <= units(line) <= max_units:
        raise Unprocessable(f"must have 1 to {max_units} characters", pointer=pointer)
    if any(unicodedata.category(character) in _UNPRINTABLE for character in line):
        raise Unprocessable("must be one line without control characters", pointer=pointer)
    return line


def username(written: str, pointer: str) -> str:
    """A username in lower case. Raises `Unprocessable`."""
    if not USERNAME.fullmatch(written):
        raise Unprocessable("must be 3 to 64 of A-Z a-z 0-9 . _ @ + -", pointer=pointer)
    return written.lower()


def whole_text(written: str, pointer: str | None, max_units: int) -> str:
    r"""What was written with `\n` between its lines (T2).

    Raises `Unprocessable` for what no text can hold (T5), and `TextTooLong`.
    """
    text = written.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text or _SURROGATE.search(text):
        raise Unprocessable("must not hold NUL or an unpaired surrogate", pointer=pointer)
    if units(text) > max_units:
        raise TextTooLong(f"a document holds at most {max_units} UTF-16 code units")
    return text


def units(text: str) -> int:
    """UTF-16 code units (T1)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
