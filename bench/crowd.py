"""People who open documents, type, are cut off, come back and leave, until their time is over.

Then each stays in the document that it has open until all are done, and shows what it sees.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from bench.ledger import WIDTH, Ledger, token
from bench.rest import rest
from collab.client import Backoff, connect, read_text
from tests.browser.proxy import way_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import ServerProcess
    from collab.client import Editor
    from tests.browser.proxy import Way

STAY_S = 5.0, 40.0
TOKEN_EVERY_S = 0.5, 1.0
CUT_CHANCE = 1 / 40
"""Of each token: about every half a minute."""
VANISH_CHANCE = 1 / 3
"""Of each departure."""
VANISH_S = 0.005
"""The longest between the last token of one who vanishes and its end."""
FINISH_S = 120.0


class Vanished(Exception):
    """Leaves an editor without waiting for what was typed."""


class Seen(NamedTuple):
    """What REST shows of a document."""

    revision: int
    text: str


class Crowd:
    """As many people as `run` is told, each typing into one of the documents at a time."""

    def __init__(self, server: ServerProcess, token: str, documents: Sequence[str]) -> None:
        self.typed = self.visits = self.cuts = self.vanished = 0
        self.ledgers = {document: Ledger() for document in documents}
        self.shown: dict[str, Seen] = {}
        """What REST shows of each document in the end."""
        self.equal_editors = 0
        """How many editors show the same in the end."""
        self._server = server
        self._token = token
        self._numbers = itertools.count()
        self._ends_at = 0.0
        self._together: asyncio.Barrier

    async def run(self, people: int, seconds: float) -> None:
        """Everybody is gone when it returns. Raises what ended an editor for good."""
        self._ends_at = perf_counter() + seconds
        self._together = asyncio.Barrier(people + 1)
        async with asyncio.TaskGroup() as tasks:
            for number in range(people):
                tasks.create_task(self._live(random.Random(number)), name=f"person {number}")
            await asyncio.sleep(seconds)
            async with asyncio.timeout(FINISH_S):
                await self._together.wait()  # everything is ordered
                for document in self.ledgers:
                    self.shown[document] = await self.look(document)
                await self._together.wait()

    async def look(self, document: str) -> Seen:
        """A document as REST shows it, while nobody types."""
        with rest(self._server.url, self._token) as api:
            found = await asyncio.to_thread(api.get, f"/v1/documents/{document}")
        text = await read_text(self._server.url, self._token, document)
        return Seen(found.json["revision"], text)

    async def editors(self) -> int:
        """How many sessions the server has, in all documents."""
        with rest(self._server.url, self._token) as api:
            found = [
                await asyncio.to_thread(api.get, f"/v1/documents/{document}")
                for document in self.ledgers
            ]
        return sum(each.json["editors"] for each in found)

    @property
    def _is_over(self) -> bool:
        return perf_counter() >= self._ends_at

    async def _live(self, chance: random.Random) -> None:
        async with way_to(self._server) as way:
            stayed = False
            while not stayed:
                document = chance.choice(list(self.ledgers))
                backoff = Backoff(first_s=0.1, max_s=2.0)
                opening = connect(way.url, document, token=self._token, backoff=backoff)
                self.visits += 1
                with suppress(Vanished):
                    async with opening as editor:
                        await self._visit(document, editor, way, chance)
                        stayed = self._is_over
                        if stayed:
                            await self._finish(document, editor)

    async def _visit(self, document: str, editor: Editor, way: Way, chance: random.Random) -> None:
        tokens: list[str] = []
        leaves_at = min(perf_counter() + chance.uniform(*STAY_S), self._ends_at)
        try:
            while perf_counter() < leaves_at:
                if chance.random() < CUT_CHANCE:
                    self.cuts += 1
                    way.cut()
                tokens.append(self._insert(editor, chance))
                await asyncio.sleep(chance.uniform(*TOKEN_EVERY_S))
            if not self._is_over and chance.random() < VANISH_CHANCE:
                self.vanished += 1
                tokens.append(self._insert(editor, chance))
                await asyncio.sleep(chance.uniform(0, VANISH_S))
                way.cut()
                raise Vanished
            await editor.confirmed(FINISH_S)
        finally:
            answered = len(tokens) - len(editor.unconfirmed)  # the last ones are unconfirmed
            self.ledgers[document].acknowledged.update(tokens[:answered])
            self.ledgers[document].unanswered.update(tokens[answered:])

    def _insert(self, editor: Editor, chance: random.Random) -> str:
        new = token(next(self._numbers))
        editor.insert(WIDTH * chance.randint(0, len(editor.text) // WIDTH), new)
        self.typed += 1
        return new

    async def _finish(self, document: str, editor: Editor) -> None:
        """Show what everybody else shows, once nobody types any more."""
        await self._together.wait()
        await self._together.wait()
        revision, text = self.shown[document]
        await editor.at(revision, FINISH_S)
        self.equal_editors += str(editor.text) == text
