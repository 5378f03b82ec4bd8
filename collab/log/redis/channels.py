"""What is published at one Redis: a subscription for each document that is followed.

A channel of a shard is subscribed to by a command of its own, all of them in one go after the
connection was lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import hiredis
import structlog

from collab.log.redis.connection import pack
from collab.log.redis.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.log.redis.address import Address

log = structlog.get_logger(__name__)

RETRY_S = 1.0
"""After a subscription was refused."""


class Hearer(Protocol):
    """Who follows a channel. None of these calls waits or raises."""

    def subscribed(self) -> None: ...

    def published(self, message: bytes) -> None: ...


@dataclass(eq=False)
class _Channel:
    name: bytes
    hearers: list[Hearer] = field(default_factory=list)
    asked: bool = False
    subscribed: bool = False


class Channels(Way):
    """`on_open` is told when the connection is there; `on_loss` when Redis refuses a channel or
    ends a subscription: another node has it.
    """

    name = "subscriptions"

    def __init__(
        self,
        address: Address,
        limit_s: float,
        *,
        on_open: Callable[[], None],
        on_loss: Callable[[], None],
    ) -> None:
        super().__init__(address, limit_s)
        self._on_open = on_open
        self._on_loss = on_loss
        self._channels: dict[bytes, _Channel] = {}
        self._retrying: asyncio.TimerHandle | None = None

    def follow(self, name: bytes, hearer: Hearer) -> None:
        """It hears `subscribed` later, and again whenever something may have been missed."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel(name)
        channel.hearers.append(hearer)
        if channel.subscribed:
            asyncio.get_running_loop().call_soon(self._tell, channel, hearer)
        else:
            self._subscribe(channel)

    def unfollow(self, name: bytes, hearer: Hearer) -> None:
        channel = self._channels[name]
        channel.hearers.remove(hearer)
        if not channel.hearers:
            del self._channels[name]
            if channel.asked and self._connection is not None:
                self._connection.send([(pack("SUNSUBSCRIBE", name), _Leaving(name))])

    def hears(self, name: bytes) -> bool:
        channel = self._channels.get(name)
        return channel is not None and channel.subscribed

    def _tell(self, channel: _Channel, hearer: Hearer) -> None:
        if channel.subscribed and hearer in channel.hearers:
            hearer.subscribed()

    def _subscribe(self, *channels: _Channel) -> None:
        if self._connection is None:
            return
        for channel in channels:
            channel.asked = True
        self._connection.send(
            (pack("SSUBSCRIBE", channel.name), partial(self._answered, channel))
            for channel in channels
        )

    def _subscribe_all(self) -> None:
        self._subscribe(*(each for each in self._channels.values() if not each.asked))

    # -- What the connection tells ---------------------------------------------------------------

    def _opened(self) -> None:
        self._subscribe_all()
        self._on_open()

    def _closed(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None
        for channel in self._channels.values():
            channel.asked = channel.subscribed = False

    def _pushed(self, message: list[Any]) -> None:
        kind, name, *content = message
        if kind == b"smessage":
            channel = self._channels.get(name)
            if channel is not None and channel.subscribed:
                for hearer in [*channel.hearers]:
                    hearer.published(content[0])
            return
        assert self._connection is not None, "it pushes only while it is open"
        if kind == b"ssubscribe" or self._connection.oldest == _Leaving(name):
            self._connection.answer(None)
        elif name in self._channels:
            self._refused(self._channels[name], "Redis ended a subscription")

    def _answered(self, channel: _Channel, answer: object) -> None:
        if answer is None:
            channel.subscribed = True
            for hearer in [*channel.hearers]:
                hearer.subscribed()
        elif isinstance(answer, hiredis.ReplyError):
            self._refused(channel, str(answer))

    def _refused(self, channel: _Channel, why: str) -> None:
        channel.asked = channel.subscribed = False
        if self._retrying is None:
            log.warning("a channel is lost", redis=self._address.name, why=why)
            self._retrying = asyncio.get_running_loop().call_later(RETRY_S, self._retry)
        self._on_loss()

    def _retry(self) -> None:
        self._retrying = None
        self._subscribe_all()


@dataclass(frozen=True)
class _Leaving:
    """Who waits for the end of a subscription: nobody."""

    name: bytes

    def __call__(self, _: object) -> None: ...
