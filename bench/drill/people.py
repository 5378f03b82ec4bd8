"""People who type all the time, whatever happens, and remember when each word was acknowledged."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from bench.drill.verdict import TOKENS_EACH, Copy
from bench.ledger import WIDTH, token
from collab.client import Backoff, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bench.drill.site import Site
    from collab.client import Editor

TOKEN_EVERY_S = 0.15, 0.35
LOOK_S = 0.02
PATIENCE_S = 120.0


class Broken(Exception):
    """Something was not as the drill's fault says that it must be."""


class Person:
    """Inserts one token after another anywhere in a document."""

    def __init__(self, number: int, document: str, editor: Editor) -> None:
        self.document = document
        self.editor = editor
        self.tokens: list[str] = []
        self.typed_at: list[float] = []
        self.acknowledged_at: list[float] = []
        """Of the first tokens: the others wait. No later than `LOOK_S` after it was heard."""
        self._first = number * TOKENS_EACH
        self._chance = random.Random(number)

    async def type(self, go_on: Callable[[], bool]) -> None:
        while go_on():
            new = token(self._first + len(self.tokens))
            place = self._chance.randint(0, len(self.editor.text) // WIDTH)
            self.editor.insert(WIDTH * place, new)
            self.tokens.append(new)
            self.typed_at.append(perf_counter())
            await asyncio.sleep(self._chance.uniform(*TOKEN_EVERY_S))

    def look(self) -> None:
        """Note what was acknowledged since the last look."""
        acknowledged = len(self.tokens) - len(self.editor.unconfirmed)
        new = acknowledged - len(self.acknowledged_at)
        self.acknowledged_at += [perf_counter()] * new

    def again_s(self, since: float) -> float | None:
        """How long after a moment something typed after it was acknowledged; None: not yet."""
        first = bisect_left(self.typed_at, since)
        if first >= len(self.acknowledged_at):
            return None
        return self.acknowledged_at[first] - since

    @property
    def waits_s(self) -> list[float]:
        """How long each token waited for its acknowledgement."""
        pairs = zip(self.typed_at, self.acknowledged_at, strict=False)
        return [heard - typed for typed, heard in pairs]


class People:
    """All of them. They type until `stop`."""

    def __init__(self, everybody: Sequence[Person]) -> None:
        self.everybody = everybody
        self.over_at: float | None = None
        self._typing = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch(), name="watch")
            async with asyncio.TaskGroup() as typing:
                for number, person in enumerate(self.everybody):
                    typing.create_task(person.type(lambda: self._typing), name=f"person {number}")
            watching.cancel()

    def stop(self) -> None:
        self._typing = False

    def over(self) -> None:
        """From now on typing should work again, or very soon."""
        self.over_at = perf_counter()

    @property
    def acknowledged(self) -> list[int]:
        """How many tokens of each person."""
        return [len(person.acknowledged_at) for person in self.everybody]

    @property
    def saved(self) -> dict[str, int]:
        """How far each document is saved, by what anybody heard of it."""
        heard: dict[str, int] = {}
        for person in self.everybody:
            revision = person.editor.saved_revision
            heard[person.document] = max(revision, heard.get(person.document, 0))
        return heard

    def acknowledged_in(self, document: str) -> set[str]:
        """The tokens in a document."""
        return {
            token
            for person in self.everybody
            if person.document == document
            for token in person.tokens[: len(person.acknowledged_at)]
        }

    def shown(self, document: str) -> dict[str, Copy]:
        """A document as each of its editors shows it."""
        return {
            f"editor {number}": Copy(person.editor.revision, str(person.editor.text))
            for number, person in enumerate(self.everybody, 1)
            if person.document == document
        }

    async def all_acknowledged(self, tokens: int) -> None:
        """Wait until so many more tokens of everybody are acknowledged."""
        wanted = [count + tokens for count in self.acknowledged]
        await self._until(
            lambda: all(have >= want for have, want in zip(self.acknowledged, wanted, strict=True))
        )

    async def somebody_acknowledged(self) -> None:
        """Wait until somebody in each document hears of a token typed from now on."""
        now = perf_counter()
        documents = {person.document for person in self.everybody}
        await self._until(
            lambda: (
                documents
                == {person.document for person in self.everybody if person.again_s(now) is not None}
            )
        )

    async def nothing_acknowledged(self, seconds: float) -> None:
        """Wait until nobody hears of anything for so long."""
        since, seen = perf_counter(), self.acknowledged

        def still() -> bool:
            nonlocal since, seen
            if self.acknowledged != seen:
                since, seen = perf_counter(), self.acknowledged
            return perf_counter() - since >= seconds

        await self._until(still)

    async def again(self) -> list[float]:
        """Wait until everybody's typing works again. How long that took from `over`, for each."""
        since = self.over_at
        assert since is not None
        await self._until(lambda: all(p.again_s(since) is not None for p in self.everybody))
        return [again for p in self.everybody if (again := p.again_s(since)) is not None]

    async def settled(self) -> None:
        """Wait until everything typed is saved."""
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            for person in self.everybody:
                tasks.create_task(person.editor.saved(PATIENCE_S))
        for person in self.everybody:
            person.look()

    async def _until(self, reached: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not reached():  # noqa: ASYNC110 - the watch looks at all, and tells nobody
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise Broken(f"typing did not work again within {PATIENCE_S:.0f} s") from None

    async def _watch(self) -> None:
        while True:
            for person in self.everybody:
                person.look()
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def people(site: Site, documents: Sequence[str], count: int) -> AsyncIterator[People]:
    """So many people, spread over the documents, and those of each over the servers."""
    async with AsyncExitStack() as stack:
        everybody = []
        for number in range(count):
            document = documents[number * len(documents) // count]  # the next goes elsewhere
            backoff = Backoff(first_s=0.1, max_s=1.0)
            opening = connect(site.url, document, token=site.token, backoff=backoff)
            editor = await stack.enter_async_context(opening)
            everybody.append(Person(number, document, editor))
        yield People(everybody)
