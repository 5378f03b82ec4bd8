"""A transaction is committed in two steps: what it did holds, then it is on the disk.

Once it holds, no loss of this process takes it back, and everybody reads it. A loss of power may
take it back until it is flushed, which waits for the disk: a millisecond, or a second where others
keep the disk busy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

Flush = Callable[[], Awaitable[None]]
"""Returns when all that was committed before the call is on the disk. Of one database and its file
it is always the same one, and one call does for many commits. It raises `SQLAlchemyError` and
`OSError`, and may be called again.
"""


class Committed(NamedTuple, Generic[T]):
    """What a transaction returned, and what has to be waited for before it is called saved."""

    done: T
    flush: Flush


async def flushed() -> None:
    """The `Flush` of a database that commits in one step."""
