"""What a long list costs: REST calls of a user with few documents and of one with many.

    python -m bench.listing [--few 50] [--many 50000] [--calls 100]

Both users' documents are in one database. Each call is made many times over, on one connection,
while nobody else does anything. Every list is also read to its end, in every order: the exit code
is 1 if a document is missing, comes twice or stands in a wrong place, or if a search does not find
just what it should.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from bench import scratch
from bench.figures import SHARES, ms, percentile, ratio, table
from bench.rest import rest
from bench.server import running
from collab.access.tokens import User
from collab.api import services
from collab.settings import Settings
from collab.storage import documents
from collab.storage.history import first_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from bench.rest import Rest

SORTS = "-updated_at", "updated_at", "-created_at", "created_at", "-title", "title"
PAGE = "50"
"""The page's size that clients get who do not ask for another."""
LONGEST_PAGE = "100"
RARE_EVERY = 1_000
"""One in so many titles has the rare word in it, but at least one in each list."""
WORDS = "notes", "minutes", "plan", "draft", "letter", "budget", "Übersicht", "résumé", "todo"
FIRST_AT = 1_750_000_000_000  # ms since 1970


@dataclass(frozen=True)
class Made:
    """A document as it was put into the database, in the form that REST shows it in."""

    id: str
    title: str
    created_at: int
    updated_at: int

    def key(self, sort: str) -> tuple[Any, str]:
        """Where it stands in a list."""
        field = sort.removeprefix("-")
        return documents.fold(self.title) if field == "title" else getattr(self, field), self.id


class Page(Protocol):
    @property
    def json(self) -> Any: ...


class Get(Protocol):
    """`bench.rest.Rest`, as far as a list is read with it."""

    def get(self, path: str, **query: str) -> Page: ...


@dataclass(frozen=True)
class Owner:
    user: User
    token: str
    made: list[Made]


def invented(user: str, count: int) -> Iterator[Made]:
    """Documents with titles like people's, made and changed at random times."""
    chance = random.Random(count)
    for number in range(count):
        words = [chance.choice(WORDS).title(), chance.choice(WORDS), str(chance.randrange(count))]
        if number % RARE_EVERY == 0:
            words.append("quokka")
        created_at = FIRST_AT + chance.randrange(10**10)
        updated_at = created_at + chance.randrange(10**9)
        yield Made(f"{user}-{number}", " ".join(words), created_at, updated_at)


def insert(connection: Connection, owners: Sequence[Owner]) -> None:
    """Put the documents into the database, as ones that were made and then renamed."""
    for owner in owners:
        for one in owner.made:
            first = first_segment(one.id, "", owner.user.id, one.created_at)
            documents.create(connection, one.id, "", first, owner.user, one.created_at)
            documents.rename(connection, one.id, one.title, one.updated_at)


async def measure(options: argparse.Namespace, data_dir: Path) -> bool:
    """Make the lists, call, print what was seen, and tell whether the lists are right."""
    settings = Settings(data_dir=data_dir / "data")
    async with services.running(settings, time.time) as serving:
        owners = []
        for name, count in (("few", options.few), ("many", options.many)):
            user = User(f"bench-{name}", name, guest=True)
            token, _ = serving.tokens.issue(user)
            owners.append(Owner(user, token, list(invented(name, count))))
        await serving.database.write(lambda connection: insert(connection, owners))
    async with running(data_dir) as server:
        return await asyncio.to_thread(_call_as_both, server.url, owners, options.calls)


def _call_as_both(url: str, owners: Sequence[Owner], calls: int) -> bool:
    measured: list[dict[str, list[float]]] = []
    wrong: list[str] = []
    for owner in owners:
        with rest(url, owner.token) as api:
            middle = {}
            for sort in SORTS:
                middle[sort], right = read_through(api, owner, sort)
                if not right:
                    wrong.append(f"the list of {len(owner.made)} documents by {sort}")
            _search(api, owner, wrong)
            queries = _queries(middle)
            measured.append(
                {
                    name: [api.get("/v1/documents", **query).took_s for _ in range(calls)]
                    for name, query in queries.items()
                }
            )
    report(owners, measured)
    for each in wrong:
        print("WRONG:", each)
    return not wrong


def read_through(api: Get, owner: Owner, sort: str) -> tuple[str, bool]:
    """Read a list to its end: the cursor of a page in its middle, and whether the list is right."""
    expected = sorted(owner.made, key=lambda one: one.key(sort), reverse=sort.startswith("-"))
    seen: list[str] = []
    cursors: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = api.get("/v1/documents", sort=sort, limit=LONGEST_PAGE, **more).json
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None or len(seen) > len(expected):
            break
        cursors.append(page["next"])
        more = {"cursor": page["next"]}
    middle = cursors[len(cursors) // 2] if cursors else ""
    return middle, seen == [one.id for one in expected]


def _search(api: Rest, owner: Owner, wrong: list[str]) -> None:
    found = api.get("/v1/documents", q="QUOKKA", limit=LONGEST_PAGE).json["items"]
    expected = {one.id for one in owner.made if "quokka" in one.title}
    if {item["id"] for item in found} != expected:
        wrong.append(f"{len(owner.made)} documents: {len(found)} of {len(expected)} were found")


def _queries(middle: dict[str, str]) -> dict[str, dict[str, str]]:
    """What is called, by its name. A list without a second page has its first as its middle."""
    queries = {}
    for sort in SORTS:
        query = {"sort": sort, "limit": PAGE}
        queries[f"first page, {sort}"] = query
        queries[f"middle page, {sort}"] = query | ({"cursor": middle[sort]} if middle[sort] else {})
    for what, word in (("in few titles", "quokka"), ("in many", "plan"), ("in none", "wombat")):
        queries[f"search, {what}"] = {"q": word, "limit": PAGE}
    return queries


def report(owners: Sequence[Owner], measured: Sequence[dict[str, list[float]]]) -> None:
    few, many = measured
    calls = len(next(iter(few.values())))
    print(f"milliseconds a call, of {calls} calls each: documents, percentile")
    shown = "p50", "p99"
    counts = [len(owner.made) for owner in owners]
    head = "", *(f"{count} {name}" for count in counts for name in shown), *shown
    rows = [
        (
            name,
            *(ms(percentile(of[name], SHARES[s])) for of in (few, many) for s in shown),
            *(
                ratio(percentile(many[name], SHARES[s]), percentile(few[name], SHARES[s]))
                for s in shown
            ),
        )
        for name in few
    ]
    print(table(head, rows))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="List the documents of users with few and many.")
    parser.add_argument("--few", type=int, default=50)
    parser.add_argument("--many", type=int, default=50_000)
    parser.add_argument("--calls", type=int, default=100, help="of each kind")
    options = parser.parse_args(arguments)
    return 0 if scratch.run(partial(measure, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
