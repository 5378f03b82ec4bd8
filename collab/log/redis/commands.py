"""The way of the calls to one Redis.

Calls of one turn of the event loop are written at once, in their order, and answered one by one. A
call is sent once: only where Redis says that it does not know the script, and so did nothing, the
script is loaded and the call sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hiredis

from collab.log.redis.connection import pack
from collab.log.redis.link import FateUnknown, NotDone
from collab.log.redis.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.log.redis.address import Address

SCRIPT = Path(__file__).with_name("log.lua").read_text()
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

MAX_CALLS = 50_000
MAX_BYTES = 64 * 1_048_576
"""Of calls that are not answered yet."""

_LOAD = pack("SCRIPT", "LOAD", SCRIPT)

_NOT_BEGUN = {
    *("NOSCRIPT", "READONLY", "OOM", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "BUSY"),
    *("NOAUTH", "NOPERM", "CROSSSLOT", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"),
}
"""Refused before the script, or by its first command that writes."""

_WRONG_REDIS = {"READONLY", "LOADING", "MASTERDOWN"}
_ELSEWHERE = {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"}


class Elsewhere(NotDone):
    """Another node of the cluster has the document by now, or soon."""


class Commands(Way):
    """`on_open` is told when calls begin to pass, and `on_close` when they do so no more."""

    name = "calls"
    script = SCRIPT

    def __init__(
        self,
        address: Address,
        limit_s: float,
        *,
        on_open: Callable[[], None],
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(address, limit_s)
        self._on_open = on_open
        self._on_close = on_close
        self._gathered: list[_Call] = []
        self._unanswered = 0
        self._unanswered_bytes = 0
        self._loading = False

    async def run_script(self, *arguments: str | bytes | int) -> Any:
        """Run it with the number of keys, the keys, and what else it takes.

        Raises `NotDone`, `Elsewhere` or `FateUnknown`.
        """
        return await self._call(("EVALSHA", SHA, *arguments))

    async def ask(self, *command: str | bytes | int) -> Any:
        """For a command that changes nothing. Raises `NotDone` or `Elsewhere`."""
        try:
            return await self._call(command)
        except FateUnknown as error:
            raise NotDone(str(error)) from None

    def _call(self, command: tuple[str | bytes | int, ...]) -> asyncio.Future[Any]:
        if self._connection is None:
            raise NotDone("there is no connection to Redis")
        call = _Call(pack(*command))
        waiting_bytes = self._unanswered_bytes + len(call.packed)
        if self._unanswered == MAX_CALLS or waiting_bytes > MAX_BYTES:
            raise NotDone("too much waits for Redis")
        self._unanswered += 1
        self._unanswered_bytes = waiting_bytes
        self._gather(call)
        return call.answer

    def _gather(self, call: _Call) -> None:
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._writable)
        self._gathered.append(call)

    # -- What the connection tells ---------------------------------------------------------------

    def _writable(self) -> None:
        """Write what was gathered."""
        connection = self._connection
        if connection is None or connection.full:
            return
        calls, self._gathered = self._gathered, []
        wanted = []
        for call in calls:
            if call.answer.done():
                self._forget(call)  # its caller was cancelled
            else:
                wanted.append((call.packed, partial(self._answered, call)))
        if wanted:
            connection.send(wanted)

    def _opened(self) -> None:
        self._loading = False
        self._on_open()

    def _closed(self) -> None:
        self._on_close()
        calls, self._gathered = self._gathered, []
        for call in calls:
            self._forget(call)
            call.fail(NotDone("the connection to Redis was lost before this was sent"))

    def _answered(self, call: _Call, answer: object) -> None:
        if isinstance(answer, hiredis.ReplyError):
            text = str(answer)
            code = text.partition(" ")[0]
            if code == "NOSCRIPT" and call.load():
                self._load()
                self._gather(call)
                return
            self._forget(call)
            call.fail(_failure(code, text))
            if code in _WRONG_REDIS:
                self.drop(text)
            return
        self._forget(call)
        if isinstance(answer, FateUnknown):
            call.fail(answer)
        else:
            call.done(answer)

    def _load(self) -> None:
        """Once for all that wait for it."""
        if not self._loading and self._connection is not None:
            self._loading = True
            self._connection.send([(_LOAD, self._loaded)])

    def _loaded(self, _: object) -> None:
        self._loading = False

    def _forget(self, call: _Call) -> None:
        self._unanswered -= 1
        self._unanswered_bytes -= len(call.packed)


class _Call:
    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._loaded = False

    def load(self) -> bool:
        """Whether to load the script for it: once, or it would go on for ever."""
        first, self._loaded = not self._loaded, True
        return first

    def done(self, answer: object) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


def _failure(code: str, text: str) -> Exception:
    """What a refusal means. A script that fails on its way may have written something before."""
    if code in _ELSEWHERE:
        return Elsewhere(text)
    if code in _NOT_BEGUN:
        return NotDone(text)
    return FateUnknown(text)
