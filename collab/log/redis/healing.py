"""How a server finds out that the stream is whole and goes on from where it stands; and how, where
it is not, the servers that are left make it whole again.

A stream is known to be whole under one run of Redis. Under another one it may have lost its end, or
all of it. Then the run is recorded in the document's row first, so that no writer of the former run
saves anything more, and everything after the database's saved revision is put back by the server
that has most of it. Whoever has another history than the one that holds then is adrift.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from collab.log.redis.link import NotDone
from collab.log.redis.stream import End, Push

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.counts import Counts
    from collab.log.redis.link import Link
    from collab.log.redis.stream import Offered, Standing, Stream

log = structlog.get_logger(__name__)

GRACE_MS = 2_000
"""How long servers have to come back and offer what they have, from the first offer on."""

FRESH_MS = 1_000
"""Who has not repeated an offer for so long does not count."""

OFFER_EVERY_MS = 250


class Row(Protocol):
    """What the database says of a document: the run of Redis whose writers may save, '' if there
    never was one, and where the saved history ends.
    """

    @property
    def run(self) -> str: ...

    @property
    def revision(self) -> int: ...

    @property
    def mark(self) -> str: ...


class Runs(Protocol):
    """The rows. Each call raises `NotFound`, and `Unavailable` while the database is away."""

    async def look(self, document_id: str) -> Row: ...

    async def claim(self, document_id: str, run: str, former: str) -> Row | None:
        """Record the run, if the row names `former` or `run`; else None. From then on no writer of
        another one saves anything.
        """


class Holder(Protocol):
    """What a server has of a document: the order as far as it was heard."""

    @property
    def end(self) -> End: ...

    def mark_at(self, revision: int) -> str | None: ...

    def kept(self, after: int) -> Sequence[Push] | None:
        """The pushes after a revision, as they came in; None if some are no longer kept."""


class Adrift(Exception):
    """What this server has is not the beginning of what the stream has."""


class Healing:
    """One document's, on one server."""

    def __init__(
        self,
        document_id: str,
        server: str,
        link: Link,
        stream: Stream,
        runs: Runs,
        counts: Counts,
    ) -> None:
        self._document_id = document_id
        self._server = server
        self._link = link
        self._stream = stream
        self._runs = runs
        self._counts = counts

    async def agree(self, holder: Holder, *, fresh: bool) -> Standing:
        """Return how the stream stands when it is whole and has what the holder has.

        `fresh`: the holder was just read from the database, and has nothing else. Raises `Adrift`,
        `NotFound`, `Unavailable`, `NotDone`, `FateUnknown`.
        """
        while True:
            run = self._run()
            standing = await self._stream.read(holder.end)
            if standing.run != run:
                await self._heal(holder, standing.end, run, fresh=fresh)
            elif standing.held:
                return standing
            elif not await self._extend(holder, standing.end, run):
                await self._compare(holder, standing.end, run)

    async def confirm(self, holder: Holder) -> None:
        """Return if the holder, which has all that the stream has, has what the database has.

        Raises as `agree`, and `NotDone` when it is to be asked again.
        """
        run = self._run()
        row = await self._look(run)
        if row.revision > holder.end.revision:
            end = (await self._stream.read(holder.end, 1)).end
            if end is None or end.revision < row.revision:
                raise Adrift  # the stream lacks what is saved
            raise NotDone("another server has saved more than was heard here")
        if holder.mark_at(row.revision) != row.mark:
            raise Adrift

    def _run(self) -> str:
        if self._link.run is None:
            raise NotDone("there is no connection to Redis")
        return self._link.run

    def _still(self, run: str) -> None:
        """Before whatever is written: what was read under another run no longer counts."""
        if self._link.run != run:
            raise NotDone("this is another run of Redis")

    async def _look(self, run: str) -> Row:
        """The row, which names the run of a stream that is whole under it."""
        row = await self._runs.look(self._document_id)
        if row.run not in {run, ""}:
            self._link.doubt()
            raise NotDone("the servers have gone on with another Redis")
        return row

    async def _compare(self, holder: Holder, end: End | None, run: str) -> None:
        """The stream is whole, and is not what the holder has, nor the beginning of it."""
        row = await self._look(run)
        self._check(holder, row)
        if (await self._stream.read(_end(row), 1)).held:
            raise Adrift
        await self._begin(holder, end, row, run)  # it is not the database's, which decides

    async def _heal(self, holder: Holder, end: End | None, run: str, *, fresh: bool) -> None:
        """The stream may not be whole. Returns when that has changed, one way or another."""
        found = await self._runs.look(self._document_id)
        # It was saved and nobody had it open when it expired, or there never was one?
        alone = fresh and end is None and found.run in {run, ""}
        if alone and await self._seed(holder, run, found.run):
            return
        # Before the claim, so that who sees the claim and no stream does not take it for expired.
        # And Redis answers after the row was read: so the row names no later run than this one.
        log.info("waiting for what others have", document=self._document_id)
        if (await self._offer(holder, run)).whole:
            return
        row: Row | None = found
        if found.run != run:
            row = await self._claim_while_offering(holder, run, found.run)
        if row is None:
            return  # another server was faster, or knows a later run
        self._check(holder, row)
        while not (offered := await self._offer(holder, run)).turn:
            if offered.whole:
                return
            await asyncio.sleep(min(offered.wait_ms, OFFER_EVERY_MS) / 1000)
        await self._put_back(holder, row, run)

    async def _seed(self, holder: Holder, run: str, former: str) -> bool:
        """Begin a stream where the database ends. False if others say that they have one."""
        row = await self._runs.claim(self._document_id, run, former)
        if row is None:
            return False
        self._check(holder, row)
        self._still(run)
        return await self._stream.seed(run, _end(row))

    async def _claim_while_offering(self, holder: Holder, run: str, former: str) -> Row | None:
        """A database that is slow must not cost the turn of who has most."""
        claim = asyncio.create_task(
            self._runs.claim(self._document_id, run, former), name="claiming a run"
        )
        try:
            while not claim.done():
                await asyncio.wait([claim], timeout=OFFER_EVERY_MS / 1000)
                await self._offer(holder, run)
            return await claim
        finally:
            claim.cancel()

    async def _offer(self, holder: Holder, run: str) -> Offered:
        self._still(run)
        revision = holder.end.revision
        return await self._stream.offer(run, self._server, revision, GRACE_MS, FRESH_MS)

    @staticmethod
    def _check(holder: Holder, row: Row) -> None:
        if row.revision > holder.end.revision or holder.mark_at(row.revision) != row.mark:
            raise Adrift

    async def _put_back(self, holder: Holder, row: Row, run: str) -> None:
        """It is this server's turn to make the stream whole."""
        standing = await self._stream.read(_end(row), 1)
        if not standing.held:  # it is gone, or behind the database, or not the database's
            await self._begin(holder, standing.end, row, run)
        elif not await self._extend(holder, standing.end, run):
            assert standing.end is not None
            self._still(run)
            await self._stream.extend(run, standing.end, ())  # it has more, or else: it holds

    async def _extend(self, holder: Holder, end: End | None, run: str) -> bool:
        """Put back what the holder has after the stream's end. False if that is not its place."""
        if end is None or end.revision >= holder.end.revision:
            return False
        if holder.mark_at(end.revision) != end.mark:
            return False
        lost = holder.kept(end.revision)
        if lost is None:
            return False
        self._still(run)
        self._put_back_is_due(len(lost))
        await self._stream.extend(run, end, lost)
        return True

    async def _begin(self, holder: Holder, end: End | None, row: Row, run: str) -> None:
        """Begin a stream where the database ends, and add what the holder has beyond that."""
        unsaved = holder.kept(row.revision)
        if unsaved is None:
            raise Adrift
        self._still(run)
        self._put_back_is_due(len(unsaved))
        await self._stream.replace(run, end, _end(row), unsaved)

    def _put_back_is_due(self, pushes: int) -> None:
        log.warning("putting back what Redis lost", document=self._document_id, pushes=pushes)
        self._counts.repairs["put_back"] += pushes


def _end(row: Row) -> End:
    return End(row.revision, row.mark)
