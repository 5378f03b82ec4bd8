"""What people may write: names and titles of one line, and whole texts."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress

from collab.errors import TextTooLong, Unprocessable

MAX_INTEGER = 2**53 - 1
"""The largest whole number that JSON carries safely."""

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, surrogates, and line and paragraph separators."""

_INVISIBLE = re.compile(
    # A flag of a part of a country is written with characters that are invisible elsewhere.
    "(\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f)"
    "|[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""What shows nothing by itself, or turns the direction of what is around it. Not among them are the
joiners U+200C and U+200D, which words of some scripts need, and emoji made of several.
"""

_JOINERS = "\u200c\u200d"

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol that look like a space."""

MAX_MARKS = 8
"""How many marks one character may bear, more than any language's: else they run over others."""

USERNAME = re.compile(r"^[A-Za-z0-9._@+-]{3,64}$", re.ASCII)
"""In ASCII alone: no two usernames look alike."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""One that JSON could not join to another."""


def one_line(written: str, pointer: str, max_units: int) -> str:
    """What was written without what nobody sees: white space around it, and characters that are
    invisible or turn its direction. Raises `Unprocessable`.
    """
    line = written.strip()
    if not 1 <= units(line) <= max_units:
        raise Unprocessable(f"must have 1 to {max_units} characters", pointer=pointer)
    if any(unicodedata.category(character) in _UNPRINTABLE for character in line):
        raise Unprocessable("must be one line without control characters", pointer=pointer)
    line = _INVISIBLE.sub(r"\1", line).strip()
    if not any(_is_seen(character) for character in line):
        raise Unprocessable("must have a character that can be seen", pointer=pointer)
    if _most_marks(line) > MAX_MARKS:
        detail = f"must have at most {MAX_MARKS} marks on one character"
        raise Unprocessable(detail, pointer=pointer)
    return line


def _is_seen(character: str) -> bool:
    """Letters, numbers, punctuation and symbols are; marks only on one of these."""
    return unicodedata.category(character)[0] in "LNPS" and character not in _BLANK


def _most_marks(line: str) -> int:
    """The most that stand on one character. A joiner between them changes nothing."""
    most = marks = 0
    for character in line:
        if unicodedata.category(character)[0] == "M":
            marks += 1
            most = max(most, marks)
        elif character not in _JOINERS:
            marks = 0
    return most


def nearest_line(written: str, max_units: int) -> str:
    """What `one_line` would have of a name that comes from elsewhere, without what it refuses;
    empty if nothing is left.
    """
    kinds = [(each, unicodedata.category(each)) for each in written]
    printable = "".join(each for each, kind in kinds if kind not in _UNPRINTABLE)
    plain = "".join(each for each, kind in kinds if kind not in _UNPRINTABLE and kind[0] != "M")
    for line in (printable, plain):
        with suppress(Unprocessable):
            return one_line(_cut(line.strip(), max_units), "", max_units)
    return ""


def _cut(line: str, max_units: int) -> str:
    """As much of it as may be, in whole characters."""
    cut = line.encode("utf-16-le")[: 2 * max_units]
    return cut.decode("utf-16-le", "ignore")


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
