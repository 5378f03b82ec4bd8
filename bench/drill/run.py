"""One fault from its beginning to the verdict."""

from __future__ import annotations

import asyncio
import traceback
from time import perf_counter
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bench.drill.people import Broken, people
from bench.drill.report import Row
from bench.drill.verdict import Verdict, judge
from collab.errors import CollabError

if TYPE_CHECKING:
    from bench.drill.faults import Fault
    from bench.drill.people import People
    from bench.drill.site import Site

WARM_UP_TOKENS = 4
EQUAL_WITHIN_S = 30.0
POLL_S = 0.2


async def go_through(fault: Fault, site: Site, documents: int, editors: int) -> Row:
    """Open documents, let everybody type, strike, wait until typing works again, and judge."""
    row = Row(fault.name, fault.title, may_lose=fault.may_lose)
    try:
        names = await site.documents(documents)
        async with people(site, names, editors) as everybody:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(everybody.run(), name="people")
                await everybody.all_acknowledged(WARM_UP_TOKENS)
                await fault.strike(site, everybody)
                if everybody.over_at is None:
                    everybody.over()
                row.again_s = await everybody.again()
                everybody.stop()
            await everybody.settled()
            row.waited_s = [max(person.waits_s) for person in everybody.everybody]
            row.verdict = await _verdict(site, everybody, names)
    except* (Broken, CollabError, OSError, SQLAlchemyError, RuntimeError) as errors:
        row.wrong += _told(errors)
    if row.wrong:
        row.wrong += [f"{server.log} ends:\n{server.log_tail()}" for server in site.servers]
    return row


async def _verdict(site: Site, everybody: People, documents: list[str]) -> Verdict:
    """Judge the documents, once all show the same, or do not for long.

    What was called saved must be there at once; a revision without an effect may follow later.
    """
    deadline = perf_counter() + EQUAL_WITHIN_S
    while True:
        verdict = Verdict()
        called_saved = everybody.saved
        saved = await site.saved(documents)
        for document in documents:
            if saved[document].copy.revision < called_saved[document]:
                raise Broken(f"revision {called_saved[document]} was called saved, and is not")
            copies = await site.shown(document) | everybody.shown(document)
            verdict += judge(everybody.acknowledged_in(document), saved[document], copies)
        if not verdict.different or perf_counter() > deadline:
            return verdict
        await asyncio.sleep(POLL_S)


def _told(errors: BaseExceptionGroup[BaseException]) -> list[str]:
    """Each error of the tree, with where it came from."""
    told: list[str] = []
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            told += _told(error)
        else:
            told.append("".join(traceback.format_exception(error)))
    return told
