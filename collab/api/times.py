"""Times as answers show them: RFC 3339 in UTC."""

from datetime import UTC, datetime


def from_ms(ms: int) -> datetime:
    """From milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)
