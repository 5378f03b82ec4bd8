"""A failure stays inside the room that it happened in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

log = structlog.get_logger(__name__)


class Containment:
    """`with containment:` stands around whatever a room does, also in its timers.

    What fails unexpectedly in there is logged and ends the room, and whoever called goes on: the
    server's heart, its writer, and every other room. May be nested, and used again and again.
    """

    def __init__(
        self, on_failure: Callable[[], None], passing: tuple[type[Exception], ...] = ()
    ) -> None:
        """`passing` are exceptions that are answers to the caller, not failures."""
        self._on_failure = on_failure
        self._passing = passing

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._passing):
            return False
        log.error("a room failed; its sessions end and come back", exc_info=error)
        self._on_failure()
        return True
