"""A document's stream in Redis: the operations of `log.lua`, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collab.errors import InvalidChange
from collab.log.entry import FORMAT, Entry
from collab.log.rebase import MAX_BASE_DISTANCE
from collab.text import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collab.log.redis.link import Link

WINDOW = MAX_BASE_DISTANCE
"""How many revisions the stream keeps behind what is saved, for servers that lag."""

CHUNK_PUSHES = 500
CHUNK_BYTES = 1024 * 1024
"""How much is put back, or read, in one step: others wait for it."""


class Unreadable(Exception):
    """What the stream holds is no push of a format that this version knows."""


class Push(NamedTuple):
    """A push in the stream: its last revision, the mark there, and the entry's bytes."""

    revision: int
    mark: str
    entry: bytes


class End(NamedTuple):
    revision: int
    mark: str


class Standing(NamedTuple):
    """How the stream stands. `run` is the one under which it was found whole, '' for none; `end` is
    None where there is no stream. `held`: it has the push that was asked for, and `pushes` follow
    that one, perhaps not all of them.
    """

    run: str
    saved: int
    end: End | None
    held: bool
    pushes: list[Push]


class Ordered(NamedTuple):
    before: int
    revision: int
    mark: str


def decode(raw: bytes) -> Entry:
    """Raises `Unreadable`."""
    try:
        version, client, seq, base, author, at, updates = msgspec.json.decode(raw)
        if version != FORMAT:
            raise Unreadable(f"the log has an entry of format {version}; this version knows 1")
        changes = tuple(Change.from_json(update) for update in updates)
        return Entry(client, seq, base, changes, author, at)
    except (msgspec.MsgspecError, InvalidChange, ValueError, TypeError) as error:
        raise Unreadable(f"the log has an entry that cannot be read: {error}") from error


class Offered(NamedTuple):
    """The stream is `whole`, or it is this server's `turn` to put back what is missing, or it is to
    offer again in `wait_ms`.
    """

    whole: bool
    turn: bool
    wait_ms: int


class Stream:
    """One document's. Every call raises `NotDone` and `FateUnknown` as `Link.call` does."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def append(self, run: str, at: End, revisions: int, entry: bytes) -> Ordered | None:
        """Order an entry, for who has heard the order up to `at`. None: the stream is not whole, or
        another one, and nothing was written.
        """
        answer = await self._link.call("append", run, at.revision, at.mark, revisions, entry)
        if answer[0] != b"ordered":
            return None
        return Ordered(int(answer[1]), int(answer[2]), answer[3].decode())

    async def read(self, at: End, count: int = CHUNK_PUSHES) -> Standing:
        """How the stream stands, and what follows `at`."""
        run, saved, end, mark, held, pushes = await self._link.call(
            "read", at.revision, at.mark, count
        )
        return Standing(
            run.decode(),
            int(saved or -1),
            End(int(end), mark.decode()) if end else None,
            bool(held),
            [Push(int(revision), mark.decode(), entry) for revision, mark, entry in pushes],
        )

    async def seed(self, run: str, beginning: End) -> bool:
        """Begin it. False: there is one, or servers offer what they have of one."""
        answer = await self._link.call("seed", run, beginning.revision, beginning.mark)
        return bool(answer[0] == b"seeded")

    async def offer(
        self, run: str, server: str, revision: int, grace_ms: int, fresh_ms: int
    ) -> Offered:
        answer = await self._link.call("offer", run, server, revision, grace_ms, fresh_ms)
        match answer[0]:
            case b"whole":
                return Offered(whole=True, turn=False, wait_ms=0)
            case b"turn":
                return Offered(whole=False, turn=True, wait_ms=0)
            case _:
                return Offered(whole=False, turn=False, wait_ms=int(answer[1]))

    async def extend(self, run: str, end: End, pushes: Sequence[Push]) -> bool:
        """Put pushes back after its end, and call it whole. False: its end is elsewhere by now."""
        return await self._restore(run, "extend", end, end, pushes)

    async def replace(
        self, run: str, end: End | None, beginning: End, pushes: Sequence[Push]
    ) -> bool:
        """Begin it anew with `beginning`. False: its end is no longer at `end`."""
        return await self._restore(run, "replace", end, beginning, pushes)

    async def _restore(
        self, run: str, how: str, end: End | None, after: End, pushes: Sequence[Push]
    ) -> bool:
        found: tuple[str | int, str] = ("", "") if end is None else end
        chunks = list(_chunks(pushes)) or [[]]
        for number, chunk in enumerate(chunks, 1):
            flat = [part for push in chunk for part in push]
            whole = int(number == len(chunks))
            answer = await self._link.call("restore", run, how, *found, *after, whole, *flat)
            if answer[0] != b"restored":
                return False
            how, after = "extend", End(*chunk[-1][:2]) if chunk else after
            found = after
        return True

    async def saved(self, upto: End) -> None:
        await self._link.call("saved", upto.revision, upto.mark, WINDOW)

    async def rest(self) -> None:
        await self._link.call("rest")

    async def lead(self, server: str, ttl_ms: int) -> tuple[bool, int]:
        """Whether `server` is the one that saves, and for how many milliseconds that holds."""
        holds, ms = await self._link.call("lead", server, ttl_ms)
        return bool(holds), int(ms)

    async def give_up_lead(self, server: str) -> None:
        await self._link.call("yield", server)

    async def forsaken(self) -> bool:
        """Whether something is not saved, and no server has undertaken to save it."""
        return bool((await self._link.call("forsaken"))[0])

    async def tell(self, message: bytes) -> None:
        await self._link.call("tell", message)

    async def remove(self) -> None:
        await self._link.call("remove")

    async def access_changed(self) -> None:
        await self._link.call("access")


def _chunks(pushes: Iterable[Push]) -> Iterator[list[Push]]:
    chunk, size = list[Push](), 0
    for push in pushes:
        if chunk and (len(chunk) == CHUNK_PUSHES or size + len(push.entry) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(push)
        size += len(push.entry)
    if chunk:
        yield chunk


# -- What is published -----------------------------------------------------------------------------


class Published(NamedTuple):
    """A push that was ordered, and the revision that it follows."""

    before: int
    push: Push


def published(message: bytes) -> Published:
    """What a message says that begins with `e`."""
    before, revision, mark, entry = message[1:].split(b" ", 3)
    return Published(int(before), Push(int(revision), mark.decode(), entry))


def published_saved(message: bytes) -> End:
    """What a message says that begins with `s`: up to where the database has everything."""
    revision, mark = message[1:].split(b" ")
    return End(int(revision), mark.decode())
