"""The writer: one background task that saves what was ordered.

It gathers the pushes of all documents and commits them in groups: what comes in during a commit, or
in the rest after it, goes into the next.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from collab.counts import Counts
from collab.errors import Unavailable
from collab.storage.commit import Batch, save

if TYPE_CHECKING:
    from collab.log.entry import Ordered
    from collab.storage.commit import Outcome
    from collab.storage.database import Database
    from collab.storage.upkeep import Upkeep

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0

SHARE = 1 / 8
"""The share of the time that commits take in the long run, as long as they are short. What a commit
costs hardly depends on how much it saves: a busy server makes fewer and larger ones.
"""

AT_ONCE_S = 0.02
"""How long commits may take beyond that: where little is typed, each push is committed at once."""

MAX_REST_S = 0.01
"""The longest rest between two commits: without Redis, nothing is shown before it is committed."""


class Rests:
    """How long the writer rests after each commit. Times are in seconds, by any clock."""

    def __init__(self) -> None:
        self._ahead_s = 0.0  # what commits took beyond their share
        self._ended = 0.0

    def after(self, began: float, ended: float) -> float:
        earned_s = (ended - self._ended) * SHARE
        self._ahead_s = max(self._ahead_s - earned_s, 0.0) + ended - began
        self._ended = ended
        return min(max(self._ahead_s - AT_ONCE_S, 0.0) / SHARE, MAX_REST_S)


class Listener(Protocol):
    """Who hears what became of a document's pushes. Neither call waits or raises, but may put."""

    def saved(self, revision: int) -> None:
        """Every push up to `revision` is committed."""

    def not_saved(self, error: Exception) -> None:
        """What was put and not reported saved could not be saved, and will not be tried again.

        It is a `Conflict` where the database has more, or other pushes, or names another run.
        """


@dataclass(slots=True, kw_only=True)
class _Batch(Batch):
    """One document's pushes that wait for a commit."""

    listener: Listener


class Writer:
    """Saves pushes for as long as `run` runs."""

    def __init__(
        self,
        database: Database,
        upkeep: Upkeep,
        patience_s: float,
        counts: Counts | None = None,
    ) -> None:
        """`patience_s`: how long a commit that fails is tried again before it fails for good."""
        self._database = database
        self._upkeep = upkeep
        self._patience_s = patience_s
        self._counts = Counts() if counts is None else counts
        self._waiting: dict[str, _Batch] = {}
        self._committing: set[str] = set()
        self._in_doubt: set[str] = set()
        self._committed = asyncio.Event()
        self._wake = asyncio.Event()
        self._stopping = False
        self._rests = Rests()

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
        """Return when the database tells the truth of a document: nothing of it is put or being
        committed, and what failed for good did not come to pass after all.

        A commit that had no answer may still be under way. Writes follow one another, so it is over
        when another one is. Raises `SQLAlchemyError` while that cannot be had.
        """
        while document_id in self._waiting or document_id in self._committing:
            self._committed.clear()
            await self._committed.wait()
        if document_id in self._in_doubt:
            before = set(self._in_doubt)
            await self._database.write(lambda connection: connection.scalar(select(1)))
            self._in_doubt -= before

    def stop(self) -> None:
        """`run` ends when all that was put is saved or has failed."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                began = loop.time()
                await self._commit(self._take(), began + self._patience_s)
                self._committing.clear()
                self._committed.set()
                await asyncio.sleep(self._rests.after(began, loop.time()))
            elif self._stopping:
                return
            if self._waiting or self._stopping:
                self._wake.set()

    def _take(self) -> dict[str, _Batch]:
        # `run` keeps no name for it: it would hold a closed room in memory until the next commit.
        group, self._waiting = self._waiting, {}
        self._committing = set(group)
        return group

    async def _commit(self, group: dict[str, _Batch], deadline: float) -> None:
        try:
            failed, kept = await self._try(group, deadline)
        except Exception as error:
            log.exception("commit failed", documents=len(group))
            if len(group) == 1 or isinstance(error, DisconnectionError):
                self._in_doubt.update(group)
                for document_id, batch in group.items():
                    self._fail(document_id, batch, error)
                return
            # It may be one document's fault: the others are not to suffer for it.
            for document_id, batch in group.items():
                await self._commit({document_id: batch}, deadline)
            return
        self._in_doubt.clear()
        for document_id, batch in group.items():
            if document_id in failed:
                self._fail(document_id, batch, failed[document_id])
            else:
                batch.listener.saved(batch.pushes[-1].last)
        self._upkeep.look(kept)

    def _fail(self, document_id: str, batch: _Batch, error: Exception) -> None:
        """Give a document's pushes up, and with them those that came in meanwhile: they follow."""
        self._waiting.pop(document_id, None)
        batch.listener.not_saved(error)

    async def _try(self, group: dict[str, _Batch], deadline: float) -> Outcome:
        """Commit, again and again until the deadline. Returns what `save` does."""
        loop = asyncio.get_running_loop()
        pause = FIRST_RETRY_S
        while True:
            started = time.perf_counter()
            try:
                outcome = await self._database.write(lambda connection: save(connection, group))
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
                return outcome
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_S)


def _follows(push: Ordered, last: Ordered) -> bool:
    return (push.before.revision, push.before.mark) == (last.last, last.mark)
