"""The writer: the background work that saves what was ordered.

It gathers the pushes of all documents and commits them in groups: what comes in during a commit, or
in the rest after it, goes into the next. What is committed is brought to the disk while others are:
so a slow disk delays what is called saved, and not what is shown.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from collab.counts import Counts
from collab.errors import Unavailable
from collab.storage.commit import Batch, save
from collab.storage.rests import Rests

if TYPE_CHECKING:
    from collab.log.entry import Ordered
    from collab.storage.commit import Outcome
    from collab.storage.database import Database
    from collab.storage.flushing import Committed, Flush
    from collab.storage.upkeep import Kept, Upkeep

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0


class Listener(Protocol):
    """Who hears what became of a document's pushes. No call waits or raises, but may put."""

    def committed(self, revision: int) -> None:
        """No loss of this process takes back what was put up to `revision`. Then `saved` follows,
        or `not_saved`.
        """

    def saved(self, revision: int) -> None:
        """Every push up to `revision` is committed, and on the disk."""

    def not_saved(self, error: Exception) -> None:
        """What was put and not reported saved could not be saved, and will not be tried again.

        It is a `Conflict` where the database has more, or other pushes, or names another run.
        """


@dataclass(slots=True, kw_only=True)
class _Batch(Batch):
    """One document's pushes that wait for a commit."""

    listener: Listener


_Group = dict[str, _Batch]
"""Those of several documents that are committed together."""


class _Written(NamedTuple):
    """A group that is committed and may not be on the disk."""

    group: _Group
    kept: list[Kept]
    flush: Flush


class Writer:
    """Saves pushes for as long as `run` runs."""

    def __init__(
        self,
        database: Database,
        upkeep: Upkeep,
        patience_s: float,
        counts: Counts | None = None,
    ) -> None:
        """`patience_s`: how long a commit or a flush that fails is tried again before it fails for
        good.
        """
        self._database = database
        self._upkeep = upkeep
        self._patience_s = patience_s
        self._counts = Counts() if counts is None else counts
        self._waiting: _Group = {}
        self._written: list[_Written] = []
        self._under_way: Counter[str] = Counter()  # documents, by how many groups they are in
        self._in_doubt: set[str] = set()  # what of them is committed, or will be
        self._unflushed: set[str] = set()
        self._answered = asyncio.Event()
        self._wake = asyncio.Event()
        self._wake_flushing = asyncio.Event()
        self._stopping = False
        self._all_committed = False

    def put(
        self, document_id: str, push: Ordered, listener: Listener, run: str | None = None
    ) -> None:
        """Save `push`; the listener hears of it. With `run`, while the document's row names it.

        A push that follows what waits takes it along, also under another run. One that does not
        replaces it: whoever put that begins elsewhere now, or is told that it is given up.
        """
        self._wake.set()
        waiting = self._waiting.get(document_id)
        is_ours = waiting is not None and waiting.listener is listener
        if waiting is not None and is_ours and _follows(push, waiting.pushes[-1]):
            waiting.pushes.append(push)
            waiting.run = run
            return
        self._waiting[document_id] = _Batch(pushes=[push], run=run, listener=listener)
        if waiting is not None and not is_ours:
            waiting.listener.not_saved(Unavailable("the document is saved for somebody else now"))

    async def settle(self, document_id: str) -> None:
        """Return when the database tells the truth of a document: nothing of it is put or on its
        way to the disk, and what failed for good did not come to pass after all.

        A commit that had no answer may still be under way. Writes follow one another, so it is over
        when another one is, and on the disk when that is. Raises `SQLAlchemyError` or `OSError`
        while that cannot be had.
        """
        while document_id in self._waiting or document_id in self._under_way:
            self._answered.clear()
            await self._answered.wait()
        for doubtful in (self._in_doubt, self._unflushed):
            if document_id in doubtful:
                before = set(doubtful)
                await self._database.write(lambda connection: connection.scalar(select(1)))
                doubtful.difference_update(before)

    def stop(self) -> None:
        """`run` ends when all that was put is saved or has failed."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._flush_all(), name="flushing")
            await self._commit_all()
            self._all_committed = True
            self._wake_flushing.set()

    # -- Committing ---------------------------------------------------------------------------

    async def _commit_all(self) -> None:
        loop, rests = asyncio.get_running_loop(), Rests()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                began = loop.time()
                await self._commit(self._take(), began + self._patience_s)
                await asyncio.sleep(rests.after(began, loop.time()))
            elif self._stopping:
                return
            if self._waiting or self._stopping:
                self._wake.set()

    def _take(self) -> _Group:
        # `run` keeps no name for it: it would hold a closed room in memory until the next commit.
        group, self._waiting = self._waiting, {}
        self._under_way.update(group.keys())
        return group

    async def _commit(self, group: _Group, deadline: float) -> None:
        try:
            (failed, kept), flush = await self._try(group, deadline)
        except Exception as error:
            log.exception("commit failed", documents=len(group))
            if len(group) == 1 or isinstance(error, DisconnectionError):
                self._in_doubt.update(group)
                self._give_up(group, error)
                return
            # It may be one document's fault: the others are not to suffer for it.
            for document_id, batch in group.items():
                await self._commit({document_id: batch}, deadline)
            return
        self._in_doubt.clear()
        for document_id, failure in failed.items():
            self._fail(document_id, group.pop(document_id), failure)
        for batch in group.values():
            batch.listener.committed(batch.pushes[-1].last)
        self._written.append(_Written(group, kept, flush))
        self._wake_flushing.set()

    async def _try(self, group: _Group, deadline: float) -> Committed[Outcome]:
        """Commit, again and again until the deadline. Returns what `save` does."""
        loop = asyncio.get_running_loop()
        pause = FIRST_RETRY_S
        while True:
            started = time.perf_counter()
            try:
                committed = await self._database.commit(lambda connection: save(connection, group))
            except (SQLAlchemyError, OSError) as error:
                self._counts.failed_commits += 1
                if loop.time() + pause > deadline:
                    raise
                log.warning("commit failed, trying again", error=str(error), pause_s=pause)
            else:
                self._counts.commit_seconds.observe(time.perf_counter() - started)
                self._counts.commit_pushes.observe(
                    sum(len(batch.pushes) for batch in group.values())
                )
                return committed
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_S)

    # -- Flushing -----------------------------------------------------------------------------

    async def _flush_all(self) -> None:
        loop, rests = asyncio.get_running_loop(), Rests()
        while True:
            await self._wake_flushing.wait()
            self._wake_flushing.clear()
            if self._written:
                began = loop.time()
                await self._flush(began + self._patience_s)
                await asyncio.sleep(rests.after(began, loop.time()))
            if self._written:
                self._wake_flushing.set()
            elif self._all_committed:
                return

    async def _flush(self, deadline: float) -> None:
        """Bring to the disk what is committed, again and again until the deadline."""
        written, self._written = self._written, []
        loop = asyncio.get_running_loop()
        pause = FIRST_RETRY_S
        while True:
            started = time.perf_counter()
            try:
                for flush in {each.flush for each in written}:
                    await flush()
            except (SQLAlchemyError, OSError) as error:
                self._counts.failed_flushes += 1
                if loop.time() + pause > deadline:
                    log.exception("flush failed", groups=len(written))
                    for each in written:
                        self._unflushed.update(each.group)
                        self._give_up(each.group, error)
                    return
                log.warning("flush failed, trying again", error=str(error), pause_s=pause)
            else:
                self._counts.flush_seconds.observe(time.perf_counter() - started)
                self._unflushed.clear()
                for each in written:
                    self._saved(each)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_S)

    # -- Answering ----------------------------------------------------------------------------

    def _saved(self, written: _Written) -> None:
        for document_id, batch in written.group.items():
            self._over(document_id)
            batch.listener.saved(batch.pushes[-1].last)
        self._upkeep.look(written.kept)

    def _give_up(self, group: _Group, error: Exception) -> None:
        for document_id, batch in group.items():
            self._fail(document_id, batch, error)

    def _fail(self, document_id: str, batch: _Batch, error: Exception) -> None:
        """Give a document's pushes up, and with them those that came in meanwhile: they follow."""
        self._waiting.pop(document_id, None)
        self._over(document_id)
        batch.listener.not_saved(error)

    def _over(self, document_id: str) -> None:
        """A group that it is in has its answer."""
        self._under_way[document_id] -= 1
        if not self._under_way[document_id]:
            del self._under_way[document_id]
        self._answered.set()


def _follows(push: Ordered, last: Ordered) -> bool:
    return (push.before.revision, push.before.mark) == (last.last, last.mark)
