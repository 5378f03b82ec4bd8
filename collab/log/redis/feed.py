"""One document's log in Redis, as one server follows it.

What is published is the fast road: each push as it is ordered. The stream is the truth: whatever
may have been missed is read from it, and nothing is told to the subscriber out of turn.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from collab.errors import NotFound, Unavailable
from collab.log.entry import Entry
from collab.log.redis.healing import Adrift, Healing
from collab.log.redis.lease import Lease
from collab.log.redis.link import FateUnknown, NotDone
from collab.log.redis.mending import Mending
from collab.log.redis.order import Order
from collab.log.redis.sent import Sent
from collab.log.redis.stream import (
    End,
    Push,
    Stream,
    Unreadable,
    decode,
    published,
    published_saved,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

    from collab.counts import Counts
    from collab.log.contract import Subscriber
    from collab.log.redis.healing import Runs
    from collab.log.redis.link import Links
    from collab.log.redis.stream import Standing
    from collab.tasks import Tasks

log = structlog.get_logger(__name__)

GAP_PATIENCE_S = 0.05
"""How long a gap may be due to two connections that are not equally fast."""

MEND_PATIENCE_S = 5.0
"""How long who asks waits until the stream is known to be whole."""

RETRY_AFTER_MS = 1_000


class RedisFeed:
    """The `Feed`, the link's `Listener`, and the `Holder` when it comes to healing."""

    def __init__(
        self,
        document_id: str,
        server: str,
        links: Links,
        runs: Runs,
        tasks: Tasks,
        counts: Counts,
    ) -> None:
        self._document_id = document_id
        self._tasks = tasks
        self._counts = counts
        self._link = links.link(document_id, self)
        self._stream = Stream(self._link)
        self._healing = Healing(document_id, server, self._link, self._stream, runs, counts)
        self._lease = Lease(server, self._link, self._stream, tasks, self._leads)
        self._mending = Mending(tasks, self._mend_once, lambda: self._link.run is not None)
        self._subscriber: Subscriber | None = None
        self._order = Order()
        self._sent = Sent()
        self._whole: str | None = None  # the run under which the stream is known to be whole
        self._last_run: str | None = None
        self._doubted = False
        self._changed = asyncio.Event()
        self._gap: asyncio.TimerHandle | None = None
        self._telling_saved = False
        self._closed: Unavailable | None = None

    # -- Opening -------------------------------------------------------------------------------

    async def connected_and_subscribed(self) -> None:
        while self._link.run is None or not self._link.hears:
            self._changed.clear()
            await self._changed.wait()

    async def begin(self, subscriber: Subscriber) -> bool:
        """Follow from where the database ends, which `subscriber` was just made of, and hear the
        stream to its end. False if they do not meet: it is to be read again.

        Raises `NotFound`, `Unavailable`, `NotDone`, `FateUnknown`.
        """
        self._subscriber = subscriber
        self._order.begin(End(subscriber.revision, subscriber.mark))
        try:
            await self._catch_up(fresh=True)
        except Adrift:
            self._mending.cancel()
            self._subscriber = None
            return False
        except Unreadable as error:
            raise Unavailable(str(error)) from error
        self._check_whole()
        return True

    # -- Holder --------------------------------------------------------------------------------

    @property
    def end(self) -> End:
        return self._order.end

    def mark_at(self, revision: int) -> str | None:
        assert self._subscriber is not None
        return self._subscriber.mark_at(revision)

    def kept(self, after: int) -> Sequence[Push] | None:
        return self._order.unsaved(after)

    # -- Feed ----------------------------------------------------------------------------------

    @property
    def leading(self) -> bool:
        return self._closed is None and self._lease.held

    @property
    def run(self) -> str | None:
        return self._last_run

    def append(self, entry: Entry) -> None:
        try:
            run = self._check_whole()
        except (NotDone, Unavailable) as error:
            self._refuse(entry, str(error))
        else:
            self._tasks.start(self._append(run, entry, self._sent.add(entry)))

    async def _append(self, run: str, entry: Entry, encoded: bytes) -> None:
        try:
            await self._order_in(run, entry, encoded)
        except NotDone as error:
            if self._sent.forget(entry.client, entry.seq) is not None:
                self._refuse(entry, str(error))
        except FateUnknown:
            self._sent.doubt(entry)
            self._mend()

    async def _order_in(self, run: str, entry: Entry, encoded: bytes) -> int:
        """Returns the revision that it ends at, which may not be heard yet."""
        ordered = await self._stream.append(run, self._order.end, entry.revisions, encoded)
        if ordered is None:
            self._whole = None
            self._mend()
            raise NotDone("the order is being restored")
        self._take(ordered.before, Push(ordered.revision, ordered.mark, encoded))
        return ordered.revision

    def _refuse(self, entry: Entry, reason: str) -> None:
        if self._subscriber is not None:
            refusal = Unavailable(reason, retry_after_ms=RETRY_AFTER_MS)
            self._subscriber.refused(entry, refusal)

    async def settle(self, client: str, seq: int) -> None:
        await self.catch_up()
        assert self._subscriber is not None
        if not self._subscriber.knows(client, seq):
            # Whichever of it and the push came first decides.
            await self.place(_settling(client, seq))

    async def place(self, entry: Entry) -> None:
        try:
            await self._place(entry)
        except (NotDone, FateUnknown) as error:
            self._mend()
            raise Unavailable(str(error)) from None

    async def _place(self, entry: Entry) -> None:
        revision = await self._order_in(self._check_whole(), entry, entry.encode())
        self._check_open()
        await self._order.reaches(revision, MEND_PATIENCE_S)

    async def catch_up(self) -> None:
        """Raises `Unavailable` while the end of the log is not known."""
        try:
            async with asyncio.timeout(MEND_PATIENCE_S):
                while not await self._try_to_catch_up():
                    pass
        except (NotDone, FateUnknown, Adrift, Unreadable, TimeoutError) as error:
            self._mend()
            raise Unavailable(str(error) or "the end of the log is not known now") from None

    async def _try_to_catch_up(self) -> bool:
        self._check_open()
        if self._link.run is None:
            raise NotDone("there is no connection to Redis")
        if self._whole != self._link.run:
            self._mend()
            self._changed.clear()
            await self._changed.wait()
            return False
        run = self._whole
        standing = await self._stream.read(self._order.end)
        if standing.run != run or not standing.held:
            self._whole = None
            return False
        self._hear(standing)
        await self._read_on(standing)
        return True

    def committed(self, revision: int) -> None:
        """The stream has it."""

    def saved(self, revision: int) -> None:
        self._save(revision)
        self._tell_what_is_saved()

    def _tell_what_is_saved(self) -> None:
        if not self._telling_saved and self._closed is None:
            self._telling_saved = True
            self._tasks.start(self._tell_saved())

    async def _tell_saved(self) -> None:
        """Those of many commits become one."""
        told = -1
        try:
            while told < self._order.saved:
                told = self._order.saved
                if (mark := self.mark_at(told)) is not None:
                    await self._stream.saved(End(told, mark))
        except (NotDone, FateUnknown):
            pass  # who looks next sees that Redis does not know it
        finally:
            self._telling_saved = False

    def doubt(self) -> None:
        self._doubted = True
        self._whole = None
        self._mend()

    def tell(self, message: bytes) -> None:
        if self._closed is None and self._link.run is not None:
            self._tasks.start(_quietly(self._stream.tell(message)))

    def beat(self) -> None:
        self._mend()

    def close(self, error: Exception | None = None) -> None:
        if self._closed is not None:
            return
        self._closed = Unavailable(str(error or "the document is being closed"))
        if self._gap is not None:
            self._gap.cancel()
        self._mending.cancel()
        self._order.close(self._closed)
        self._changed.set()
        self._lease.close()
        if self._link.run is not None:
            self._tasks.start(self._leave())
        else:
            self._link.close()

    async def _leave(self) -> None:
        try:
            if self._order.all_saved:
                await _quietly(self._stream.rest())
        finally:
            self._link.close()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _check_whole(self) -> str:
        """The run under which pushes can be ordered. Raises `Unavailable`, `NotDone`."""
        self._check_open()
        if self._whole is None or self._whole != self._link.run:
            raise NotDone("the order is being restored")
        return self._whole

    # -- Listener ------------------------------------------------------------------------------

    def connected(self) -> None:
        self._changed.set()
        self._mend()

    def disconnected(self) -> None:
        self._whole = None

    def subscribed(self) -> None:
        self._changed.set()
        self._mend()
        if self._subscriber is not None:
            self._subscriber.resubscribed()

    def published(self, message: bytes) -> None:
        if self._subscriber is None or self._closed is not None:
            return
        match message[:1]:
            case b"e":
                self._take(*published(message))
            case b"s":
                self._told_saved(published_saved(message))
            case b"m":
                self._subscriber.heard(message[1:])
            case b"d":
                self._subscriber.deleted()
            case b"a":
                self._subscriber.access_changed()

    # -- The order -----------------------------------------------------------------------------

    def _take(self, before: int, push: Push) -> None:
        """A push that was ordered, from wherever it was heard."""
        if self._closed is not None or push.revision <= self._order.end.revision:
            return
        if before != self._order.end.revision:
            self._order.keep(before, push)
            self._notice_gap()
            return
        following: Push | None = push
        try:
            while following is not None and self._hear_one(following):
                following = self._order.next()
        except Unreadable as error:
            self._cannot_go_on(error)
        self._heard()

    def _hear(self, standing: Standing) -> None:
        """What was read from the stream. Raises `Adrift`, `Unreadable`."""
        for push in standing.pushes:
            if push.revision > self._order.end.revision and not self._hear_one(push):
                raise Adrift
        self._heard()
        if standing.saved > self._order.saved:
            self._saved_elsewhere(standing.saved)
        elif standing.saved < self._order.saved:
            self._tell_what_is_saved()  # who saved it could not

    def _hear_one(self, push: Push) -> bool:
        """The next push. False if it is not the next of what was heard so far.

        Raises `Unreadable`.
        """
        assert self._subscriber is not None
        if self._closed is not None:
            return False
        if not self._order.follows(push):
            self._whole = None
            self._mend()
            return False
        entry = self._sent.find(push.entry) or decode(push.entry)
        self._order.hear(push)
        sent = self._sent.forget(entry.client, entry.seq)
        if entry.base is None and sent is not None:
            # The settling entry came first: a copy of the push that still arrives is void.
            self._refuse(sent, "its fate was not known; it is void now")
        self._subscriber.ordered(entry, push.mark)
        return True

    def _heard(self) -> None:
        assert self._subscriber is not None
        if self._closed is None:
            self._subscriber.durable(self._order.end.revision)
            self._order.tell()
            if not self._order.all_saved:
                self._lease.want()

    def _told_saved(self, upto: End) -> None:
        """It may be another history than this one, until a loss of Redis is healed here too."""
        if upto.revision > self._order.end.revision:
            self._mend()  # what leads there was missed
        elif self.mark_at(upto.revision) == upto.mark:
            self._saved_elsewhere(upto.revision)

    def _saved_elsewhere(self, revision: int) -> None:
        if revision > self._order.saved:
            self._save(revision)
            if self._subscriber is not None:
                self._subscriber.saved_elsewhere(revision)

    def _save(self, revision: int) -> None:
        self._order.save(revision)
        if self._order.all_saved:
            self._lease.done()

    def _leads(self) -> None:
        if self._subscriber is not None and self._closed is None:
            self._subscriber.leads()

    # -- Mending -------------------------------------------------------------------------------

    def _notice_gap(self) -> None:
        """Something was missed, unless it comes at once."""
        if self._gap is None:
            loop = asyncio.get_running_loop()
            self._gap = loop.call_later(GAP_PATIENCE_S, self._look_for_gap)

    def _look_for_gap(self) -> None:
        self._gap = None
        if self._order.has_gap:
            self._mend()

    def _mend(self) -> None:
        """Find out how the stream stands, and do what that asks for."""
        if self._subscriber is not None and self._closed is None:
            self._mending.start()

    async def _mend_once(self) -> None:
        assert self._subscriber is not None
        try:
            await self._catch_up(fresh=False)
            await self._settle_unknown()
        except Adrift:
            log.warning("the log went on without this server", document=self._document_id)
            self._counts.repairs["adrift"] += 1
            self._subscriber.adrift()
        except Unreadable as error:
            self._cannot_go_on(error)
        except NotFound:
            self._subscriber.deleted()

    def _cannot_go_on(self, error: Unreadable) -> None:
        """Not before this server has a version that can read the log."""
        log.error("cannot go on", document=self._document_id, error=str(error))
        if self._subscriber is not None:
            self._subscriber.adrift()

    async def _catch_up(self, *, fresh: bool) -> None:
        """Raises as `Healing.agree`, and `Unreadable`."""
        run = self._link.run
        standing = await self._healing.agree(self, fresh=fresh)
        self._hear(standing)
        await self._read_on(standing)
        if self._doubted:
            await self._healing.confirm(self)
            self._doubted = False
        if run is None or self._link.run != run:
            raise NotDone("this is another run of Redis")
        if run != self._last_run:
            # What the former run had ordered and was not heard may be lost, and nobody else would
            # ever find out what became of it.
            self._order.forget_early()
            self._sent.doubt_all()
        self._whole = self._last_run = run
        self._changed.set()

    async def _read_on(self, standing: Standing) -> None:
        """Read until what was the end is heard. Raises `Adrift`, `Unreadable`."""
        while standing.end is not None and self._order.end.revision < standing.end.revision:
            standing = await self._stream.read(self._order.end)
            if not standing.held:
                raise Adrift
            self._hear(standing)

    async def _settle_unknown(self) -> None:
        """What was sent and is not in the stream may still come: from now on it is void."""
        for client, seq in self._sent.unknown():
            if self._sent.is_unknown(client, seq):
                await self._place(_settling(client, seq))
                self._counts.repairs["settled"] += 1


def _settling(client: str, seq: int) -> Entry:
    return Entry(client, seq, None, (), "", time.time_ns() // 1_000_000)


async def _quietly(call: Coroutine[Any, Any, None]) -> None:
    """For what nobody relies on."""
    with suppress(NotDone, FateUnknown):
        await call
