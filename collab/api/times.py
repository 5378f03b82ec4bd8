"""Times as requests and answers show them: RFC 3339, answers in UTC."""

import re
from datetime import UTC, datetime, timedelta

from collab.errors import Unprocessable

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END_MS = 253_402_300_799_000  # in the year 9999


def from_ms(ms: int) -> datetime:
    """From milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(written: str, pointer: str) -> int:
    """Milliseconds since 1970. Raises `Unprocessable`."""
    if _RFC_3339.fullmatch(written):
        try:
            ms = (datetime.fromisoformat(written.upper()) - _BEGINNING) // timedelta(milliseconds=1)
        except ValueError:  # a 30th of February
            ms = -1
        if 0 <= ms <= _END_MS:
            return ms
    raise Unprocessable("must be a time as in RFC 3339: 2027-01-15T08:00:00Z", pointer=pointer)
