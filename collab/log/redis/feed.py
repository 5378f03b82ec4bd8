"""One document's log in Redis, as one server follows it.

What is published is the fast road: each push as it is ordered. The stream is the truth: whatever
may have been missed is read from it, and nothing is told to the subscriber out of turn.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from collab.errors import NotFound, Unavailable
from collab.log.entry import Entry, next_mark
from collab.log.redis.healing import Adrift, Healing
from collab.log.redis.lease import Lease
from collab.log.redis.link import FateUnknown, NotDone
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

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 2.0

MAX_EARLY = 1_000
"""How many pushes are kept that came before their turn. What is more is read from the stream."""

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
        self._subscriber: Subscriber | None = None
        self._end = End(0, "")
        self._saved = 0
        self._kept: deque[Push] = deque()  # what is not saved
        self._early: dict[int, Push] = {}  # by the revision before
        # What was sent from here and not heard yet, by client and seq and by its bytes; and that of
        # which nobody knows whether it arrived.
        self._sent: dict[tuple[str, int], bytes] = {}
        self._entries: dict[bytes, Entry] = {}
        self._unknown: dict[tuple[str, int], None] = {}
        self._whole: str | None = None  # the run under which the stream is known to be whole
        self._last_run: str | None = None
        self._mending: asyncio.Task[None] | None = None
        self._once_more = False
        self._doubted = False
        self._mended = asyncio.Event()
        self._heard: list[tuple[int, asyncio.Future[None]]] = []
        self._gap: asyncio.TimerHandle | None = None
        self._telling_saved = False
        self._closed: Exception | None = None

    # -- Opening -------------------------------------------------------------------------------

    async def connected_and_subscribed(self) -> None:
        while self._link.run is None or not self._link.hears:
            self._mended.clear()
            await self._mended.wait()

    async def begin(self, subscriber: Subscriber) -> bool:
        """Follow from where the database ends, which `subscriber` was just made of, and hear the
        stream to its end. False if they do not meet: it is to be read again.
        """
        self._subscriber = subscriber
        self._end = End(subscriber.revision, subscriber.mark)
        self._saved = subscriber.revision
        self._kept.clear()
        self._early.clear()
        try:
            await self._catch_up(fresh=True)
        except Adrift:
            self._subscriber = None
            return False
        except Unreadable as error:
            raise Unavailable(str(error)) from error
        return True

    # -- Holder --------------------------------------------------------------------------------

    @property
    def end(self) -> End:
        return self._end

    def mark_at(self, revision: int) -> str | None:
        assert self._subscriber is not None
        return self._subscriber.mark_at(revision)

    def kept(self, after: int) -> Sequence[Push] | None:
        if after < self._saved:
            return None
        return [push for push in self._kept if push.revision > after]

    # -- Feed ----------------------------------------------------------------------------------

    @property
    def leading(self) -> bool:
        return self._closed is None and self._lease.held

    @property
    def run(self) -> str | None:
        return self._last_run

    def append(self, entry: Entry) -> None:
        run = self._whole
        if run is None or run != self._link.run or self._closed is not None:
            reason = self._closed or "the order is being restored"
            self._refuse(entry, Unavailable(str(reason), retry_after_ms=RETRY_AFTER_MS))
            return
        encoded = self._sent[entry.client, entry.seq] = entry.encode()
        self._entries[encoded] = entry
        self._tasks.start(self._append(run, entry, encoded))

    async def _append(self, run: str, entry: Entry, encoded: bytes) -> None:
        try:
            ordered = await self._stream.append(run, self._end, entry.revisions, encoded)
        except NotDone as error:
            self._give_back(entry, str(error))
        except FateUnknown:
            if (entry.client, entry.seq) in self._sent:
                self._unknown[entry.client, entry.seq] = None
                self._mend()
        else:
            if ordered is None:
                self._whole = None
                self._give_back(entry, "the order is being restored")
                self._mend()
                return
            self._take(ordered.before, Push(ordered.revision, ordered.mark, encoded))

    def _give_back(self, entry: Entry, reason: str) -> None:
        """It is not in the log, and never will be."""
        if self._no_longer_sent(entry.client, entry.seq) is not None:
            self._refuse(entry, Unavailable(reason, retry_after_ms=RETRY_AFTER_MS))

    def _refuse(self, entry: Entry, refusal: Unavailable) -> None:
        if self._subscriber is not None:
            self._subscriber.refused(entry, refusal)

    async def settle(self, client: str, seq: int) -> None:
        await self.catch_up()
        assert self._subscriber is not None
        if self._subscriber.knows(client, seq):
            return
        # Whichever of it and the push came first decides.
        await self.place(_settling(client, seq))

    async def place(self, entry: Entry) -> None:
        try:
            await self._place(entry)
        except (NotDone, FateUnknown) as error:
            self._mend()
            raise Unavailable(str(error)) from None

    async def _place(self, entry: Entry) -> None:
        self._check_open()
        run = self._whole
        if run is None or run != self._link.run:
            raise NotDone("the order is being restored")
        encoded = entry.encode()
        ordered = await self._stream.append(run, self._end, entry.revisions, encoded)
        if ordered is None:
            self._whole = None
            raise NotDone("the order is being restored")
        self._take(ordered.before, Push(ordered.revision, ordered.mark, encoded))
        await self._hears(ordered.revision)

    async def catch_up(self) -> None:
        """Raises `Unavailable` while the end of the log is not known."""
        try:
            async with asyncio.timeout(MEND_PATIENCE_S):
                while True:
                    self._check_open()
                    self._check_connected()
                    run = self._whole
                    if run is None or run != self._link.run:
                        self._mend()
                        self._mended.clear()
                        await self._mended.wait()
                        continue
                    standing = await self._stream.read(self._end)
                    if standing.run == run and standing.held:
                        self._hear(standing)
                        await self._read_on(standing)
                        return
                    self._whole = None
        except (NotDone, FateUnknown, Adrift, Unreadable, TimeoutError) as error:
            self._mend()
            raise Unavailable(str(error) or "the end of the log is not known now") from None

    def saved(self, revision: int) -> None:
        self._drop_saved(revision)
        self._tell_what_is_saved()

    def _tell_what_is_saved(self) -> None:
        if not self._telling_saved and self._closed is None:
            self._telling_saved = True
            self._tasks.start(self._tell_saved())

    async def _tell_saved(self) -> None:
        """Those of many commits become one."""
        told = -1
        try:
            while told < self._saved:
                told = self._saved
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
            self._tasks.start(self._quietly(self._stream.tell(message)))

    def beat(self) -> None:
        self._mend()

    def close(self, error: Exception | None = None) -> None:
        if self._closed is not None:
            return
        self._closed = error or Unavailable("the document is being closed")
        if self._gap is not None:
            self._gap.cancel()
        if self._mending is not None:
            self._mending.cancel()
        for _, done in self._heard:
            if not done.done():
                done.set_exception(Unavailable(str(self._closed)))
        self._heard.clear()
        self._mended.set()
        self._lease.close()
        if self._link.run is not None:
            self._tasks.start(self._leave())
        else:
            self._link.close()

    async def _leave(self) -> None:
        try:
            if not self._kept:
                await self._quietly(self._stream.rest())
        finally:
            self._link.close()

    # -- Listener ------------------------------------------------------------------------------

    def connected(self) -> None:
        self._mended.set()
        self._mend()

    def disconnected(self) -> None:
        self._whole = None

    def subscribed(self) -> None:
        self._mended.set()
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

    # -- The order -----------------------------------------------------------------------------

    def _take(self, before: int, push: Push) -> None:
        """A push that was ordered, from wherever it was heard."""
        if self._closed is not None or push.revision <= self._end.revision:
            return
        if before != self._end.revision:
            if len(self._early) < MAX_EARLY:
                self._early[before] = push
            self._notice_gap()
            return
        following: Push | None = push
        try:
            while following is not None and self._hear_one(following):
                following = self._early.pop(self._end.revision, None)
        except Unreadable as error:
            self._cannot_go_on(error)
        self._heard_all()

    def _hear(self, standing: Standing) -> None:
        """What was read from the stream."""
        for push in standing.pushes:
            if push.revision > self._end.revision and not self._hear_one(push):
                raise Adrift
        self._heard_all()
        if standing.saved > self._saved:
            self._saved_elsewhere(standing.saved)
        elif standing.saved < self._saved:
            self._tell_what_is_saved()  # who saved it could not

    def _hear_one(self, push: Push) -> bool:
        """The next push. False if it is not the next of what was heard so far.

        Raises `Unreadable`.
        """
        assert self._subscriber is not None
        if self._closed is not None:
            return False
        if next_mark(self._end.mark, push.entry) != push.mark:
            self._whole = None
            self._mend()
            return False
        entry = self._entries.get(push.entry) or decode(push.entry)
        self._end = End(push.revision, push.mark)
        self._kept.append(push)
        sent = self._no_longer_sent(entry.client, entry.seq)
        if entry.base is None and sent is not None:
            # The settling entry came first: a copy of the push that still arrives is void.
            self._refuse(sent, Unavailable("its fate was not known; it is void now"))
        self._subscriber.ordered(entry, push.mark)
        return True

    def _no_longer_sent(self, client: str, seq: int) -> Entry | None:
        """Forget what was sent under this client and seq from here, and return it."""
        self._unknown.pop((client, seq), None)
        encoded = self._sent.pop((client, seq), None)
        return None if encoded is None else self._entries.pop(encoded, None)

    def _heard_all(self) -> None:
        assert self._subscriber is not None
        if self._closed is not None:
            return
        revision = self._end.revision
        if self._early:
            early = self._early.items()
            self._early = {before: push for before, push in early if before >= revision}
        self._subscriber.durable(revision)
        while self._heard and self._heard[0][0] <= revision:
            _, done = self._heard.pop(0)
            if not done.done():
                done.set_result(None)
        if self._kept:
            self._lease.want()

    async def _hears(self, revision: int) -> None:
        """Return when a revision was heard. Raises `Unavailable`, also when that takes too long."""
        if self._end.revision >= revision:
            return
        done = asyncio.get_running_loop().create_future()
        self._heard.append((revision, done))
        self._heard.sort(key=lambda waiting: waiting[0])
        try:
            async with asyncio.timeout(MEND_PATIENCE_S):
                await done
        except TimeoutError:
            raise Unavailable("the end of the log is not known now") from None

    def _told_saved(self, upto: End) -> None:
        """It may be another history than this one, until a loss of Redis is healed here too."""
        if upto.revision > self._end.revision:
            self._mend()  # what leads there was missed
        elif self.mark_at(upto.revision) == upto.mark:
            self._saved_elsewhere(upto.revision)

    def _saved_elsewhere(self, revision: int) -> None:
        if revision > self._saved:
            self._drop_saved(revision)
            if self._subscriber is not None:
                self._subscriber.saved_elsewhere(revision)

    def _drop_saved(self, revision: int) -> None:
        self._saved = max(self._saved, revision)
        while self._kept and self._kept[0].revision <= self._saved:
            self._kept.popleft()
        if not self._kept:
            self._lease.done()

    # -- Mending -------------------------------------------------------------------------------

    def _notice_gap(self) -> None:
        """Something was missed, unless it comes at once."""
        if self._gap is None:
            loop = asyncio.get_running_loop()
            self._gap = loop.call_later(GAP_PATIENCE_S, self._look_for_gap)

    def _look_for_gap(self) -> None:
        self._gap = None
        if self._early:
            self._mend()

    def _mend(self) -> None:
        """Find out how the stream stands, and do what that asks for."""
        if self._subscriber is None or self._closed is not None:
            return
        self._once_more = True
        if self._mending is None:
            self._mending = self._tasks.start(self._mend_on())

    async def _mend_on(self) -> None:
        pause = FIRST_PAUSE_S
        try:
            while self._once_more and self._link.run is not None:
                self._once_more = False
                try:
                    await self._catch_up(fresh=False)
                    await self._settle_unknown()
                except (NotDone, FateUnknown, Unavailable) as error:
                    log.info("waiting for Redis", document=self._document_id, error=str(error))
                    self._once_more = True
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_PAUSE_S)
        except Adrift:
            self._end_with_adrift()
        except Unreadable as error:
            self._cannot_go_on(error)
        except NotFound:
            if self._subscriber is not None:
                self._subscriber.deleted()
        finally:
            self._mending = None

    def _cannot_go_on(self, error: Unreadable) -> None:
        """Not before this server has a version that can read the log."""
        log.error("cannot go on", document=self._document_id, error=str(error))
        if self._subscriber is not None:
            self._subscriber.adrift()

    def _end_with_adrift(self) -> None:
        log.warning("the log went on without this server", document=self._document_id)
        self._counts.repairs["adrift"] += 1
        if self._subscriber is not None:
            self._subscriber.adrift()

    async def _catch_up(self, *, fresh: bool) -> None:
        run = self._link.run
        standing = await self._healing.agree(self, fresh=fresh)
        self._hear(standing)
        await self._read_on(standing)
        if self._doubted:
            await self._healing.confirm(self)
            self._doubted = False
        if self._link.run == run:
            self._whole = self._last_run = run
            self._mended.set()
        else:
            self._once_more = True

    async def _read_on(self, standing: Standing) -> None:
        """Read until what was the end is heard. Raises `Adrift`."""
        while standing.end is not None and self._end.revision < standing.end.revision:
            standing = await self._stream.read(self._end)
            if not standing.held:
                raise Adrift
            self._hear(standing)

    async def _settle_unknown(self) -> None:
        """What was sent and is not in the stream may still come: from now on it is void."""
        for client, seq in tuple(self._unknown):
            if (client, seq) in self._unknown:
                await self._place(_settling(client, seq))
                self._counts.repairs["settled"] += 1

    # -- Help ----------------------------------------------------------------------------------

    def _leads(self) -> None:
        if self._subscriber is not None and self._closed is None:
            self._subscriber.leads()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise Unavailable(str(self._closed))

    def _check_connected(self) -> None:
        if self._link.run is None:
            raise NotDone("there is no connection to Redis")

    @staticmethod
    async def _quietly(call: Coroutine[Any, Any, None]) -> None:
        """For what nobody relies on."""
        with suppress(NotDone, FateUnknown):
            await call


def _settling(client: str, seq: int) -> Entry:
    return Entry(client, seq, None, (), "", time.time_ns() // 1_000_000)
