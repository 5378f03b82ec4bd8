"""The way from one server to one document's part of Redis, as the log uses it.

A call runs one of the operations of `log.lua` on the keys of one document, once: nothing here ever
sends a call again whose fate is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class NotDone(Exception):
    """The call had no effect and never will: it was not sent, or Redis refused it."""


class FateUnknown(Exception):
    """The connection was lost, or Redis did not answer in time: the call may have had its effect,
    or may still have it.
    """


class Listener(Protocol):
    """Who follows a document. None of these calls waits or raises."""

    def connected(self) -> None:
        """Calls pass, to the Redis that `Link.run` names: the first one, or another than before.

        Also called when the connection was lost and is back.
        """

    def disconnected(self) -> None:
        """Calls do not pass at present."""

    def subscribed(self) -> None:
        """From here on, what is published is heard; what was published before may be missed."""

    def published(self, message: bytes) -> None:
        """Published on the document's channel by any server, this one too."""


class Link(Protocol):
    """One document's."""

    @property
    def run(self) -> str | None:
        """The run of the Redis that calls go to; None while they do not pass."""

    @property
    def hears(self) -> bool:
        """Whether it is subscribed."""

    async def call(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        """Do an operation of `log.lua`. Its answer holds bytes, integers, None and lists of these.

        Calls of one turn of the event loop reach Redis in their order, those to one node in one
        pipeline. Raises `NotDone` at once while calls do not pass, and `FateUnknown` within the
        time limit for an answer.
        """

    def doubt(self) -> None:
        """Redis seems to be the wrong one: connect anew, to whichever is the right one by now."""

    def close(self) -> None:
        """Follow no more. The listener hears nothing after this."""


class Links(Protocol):
    """Where links come from: a Redis, or a Redis Cluster."""

    async def start(self) -> None:
        """Connect. Raises `Misconfigured` where Redis is too old, or refuses this server."""

    def link(self, document_id: str, listener: Listener) -> Link:
        """Follow a document. The listener hears `connected` and `subscribed` later, never yet."""

    @property
    def ready(self) -> bool:
        """Whether calls pass, to every Redis that has documents."""

    def now_s(self) -> float:
        """Seconds since 1970 by Redis's clock, about; by its own while it never met one."""

    def documents(self) -> AsyncIterator[str]:
        """The documents that have a log now; perhaps some twice. Raises `NotDone`."""

    async def close(self) -> None: ...
