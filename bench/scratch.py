"""A measurement with a folder of its own."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def run(measure: Callable[[Path], Coroutine[Any, Any, T]]) -> T:
    """On uvloop, as the server runs. The folder is gone afterwards, with all that is in it."""
    with (
        tempfile.TemporaryDirectory(prefix="collab-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(measure(Path(folder)))
