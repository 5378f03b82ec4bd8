"""A document whose order was lost in part: several servers slept through it and come back.

Every inserted character is another one, so that what became of each can be asked for. What each
update put in and took away is written down beside, on sets: the oracle of these tests.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collab.log.entry import Entry, Ordered, Point, first_mark, next_mark
from collab.rooms.chain import Reorder, heard_since
from collab.rooms.history import History
from collab.rooms.room import Room
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE = "".join(chr(0x3400 + place) for place in range(40))


def new_room() -> Room:
    return Room(Text.empty(), History(Point(0, first_mark("a document"), 0)))


def take(room: Room, entry: Entry) -> Ordered:
    return room.apply(entry, next_mark(room.mark, entry.encode()))


def replayed(log: list[Entry]) -> Room:
    room = new_room()
    for entry in log:
        take(room, entry)
    return room


@dataclass
class Sets:
    """What updates did, character by character."""

    put: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    took: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def note(self, made: Ordered, before: Text) -> None:
        name = made.client, made.seq
        for update in made.updates:
            old, after = set(str(before)), update.apply(before)
            new = set(str(after))
            self.put.setdefault(name, set()).update(new - old)
            self.took.setdefault(name, set()).update(old - new)
            before = after


class World:
    def __init__(self, seed: int, *, copies: bool = True, settled: bool = True) -> None:
        self.rng = random.Random(seed)
        self._fresh = itertools.count()
        self._seqs = {client: itertools.count(1) for client in "abcdefwxyz"}
        start = Entry("s", 1, 0, (Change.replace(0, 0, 0, BEFORE),), "s", 1)
        self.log = [start]
        self._push_often(self.log, "abc", self.rng.randrange(6))
        self.common = replayed(self.log)
        self.began = len(self.log)

        lost = list(self.log)
        self._push_often(lost, "abc", self.rng.randint(3, 10))
        self.losers: list[Loser] = []
        for client in "def"[: self.rng.randint(1, 3)]:
            mine = lost[: self.rng.randint(self.began + 1, len(lost))]
            self._push_often(mine, client, self.rng.randrange(3))
            self.losers.append(Loser(mine))

        self._push_often(self.log, "xyz", self.rng.randint(1, 8))
        names = [(entry.client, entry.seq) for entry in lost[self.began :]]
        self.lost_entries = lost[self.began :]
        if settled:
            for name in self.rng.sample(names, self.rng.randrange(2)):
                self.settle(*name)
        if copies:
            for entry in self.rng.sample(self.lost_entries, self.rng.randrange(3)):
                if entry.base is not None and entry.base <= self.common.revision:
                    self.log.append(entry)
        self._push_often(self.log, "xyz", self.rng.randrange(4))

    # -- who writes -----------------------------------------------------------------------------

    def settle(self, client: str, seq: int) -> None:
        self.log.append(Entry(client, seq, None, (), client, 1))

    def push(self, log: list[Entry], clients: str) -> None:
        room = replayed(log)
        base = self.rng.randint(max(0, room.revision - 3), room.revision)
        text = Text.empty()
        for change in room.history.since(0)[:base]:
            text = change.apply(text)
        updates = []
        for _ in range(self.rng.choice([1, 1, 2, 4])):
            updates.append(self.change(text))
            text = updates[-1].apply(text)
        client = self.rng.choice(clients)
        log.append(Entry(client, next(self._seqs[client]), base, tuple(updates), client, 1))

    def change(self, text: Text) -> Change:
        """One or two splices of whole characters."""
        old = str(text)
        cuts = sorted(self.rng.randint(0, len(old)) for _ in range(self.rng.choice([2, 2, 4])))
        places = [len(old[:cut].encode("utf-16-le")) // 2 for cut in cuts]
        change = Change.empty(len(text))
        for start, end in reversed(_pairs(places)):
            end = min(end, start + self.rng.choice([0, 0, 4]))
            end -= _inside_a_pair(change.apply(text), end)
            insert = "".join(self.character() for _ in range(self.rng.choice([0, 1, 2, 3])))
            change = change.compose(Change.replace(change.new_length, start, end, insert))
        return change

    def character(self) -> str:
        number = next(self._fresh)
        return chr((0x4E00, 0x20000)[number % 2] + number)

    def _push_often(self, log: list[Entry], clients: str, count: int) -> None:
        for _ in range(count):
            self.push(log, clients)

    # -- what happens ---------------------------------------------------------------------------

    def run(self) -> Room:
        """Everybody goes on, in any order, until all is in the order and heard."""
        for loser in self.losers:
            loser.read_anew(self.log[: self.rng.randint(self.began, len(self.log))])
        foreign = self.rng.randrange(6)
        for _ in range(10_000):
            if all(loser.settled_down(self.log) for loser in self.losers):
                return replayed(self.log)
            if foreign and not self.rng.randrange(5):
                foreign -= 1
                self.push(self.log, "xyz")
            loser = self.rng.choice(self.losers)
            self.rng.choice([loser.ask, loser.send, loser.hear, loser.hear, loser.forget])(self)
        raise AssertionError("the chains never came to their end")


class Loser:
    """A server that slept through the loss."""

    def __init__(self, log: list[Entry]) -> None:
        self.log = log
        self.lost = replayed(log)
        self.on_the_way: deque[Entry] = deque()

    def read_anew(self, log: list[Entry]) -> None:
        self.room = replayed(log)
        self.heard = len(log)
        common = self.lost.history.common(self.room.history)
        assert common is not None
        self.due = [
            (push.client, push.seq) for push in self.lost.history.pushes(common) if not push.void
        ]
        self.reorder = Reorder(self.lost.history, common, heard_since(self.room.history, common))
        self.last: Entry | None = None

    def settled_down(self, log: list[Entry]) -> bool:
        return self.heard == len(log) and self.reorder.done and not self.on_the_way

    def ask(self, world: World) -> None:
        for _ in range(world.rng.randrange(4)):
            self.reorder.step()
        if not world.rng.randrange(3) and (entry := self.reorder.next()) is not None:
            self.last = entry
            self.on_the_way.append(entry)

    def send(self, world: World) -> None:
        if self.on_the_way:
            world.log.append(self.on_the_way.popleft())

    def hear(self, world: World) -> None:
        if self.heard < len(world.log):
            self.reorder.ordered(take(self.room, world.log[self.heard]))
            self.heard += 1

    def forget(self, world: World) -> None:
        """It no longer knows what became of its entry, which may still come, or not."""
        if self.last is not None and not world.rng.randrange(4):
            self.reorder.unknown(self.last)
            if self.last in self.on_the_way and world.rng.randrange(2):
                self.on_the_way.remove(self.last)


def told(room_log: list[Entry]) -> Iterator[tuple[Ordered, Text]]:
    """What each entry of a log made, and of which text."""
    room = new_room()
    for entry in room_log:
        before = room.text
        yield take(room, entry), before


def _pairs(places: list[int]) -> list[tuple[int, int]]:
    return list(zip(places[::2], places[1::2], strict=True))


def _inside_a_pair(text: Text, place: int) -> bool:
    return 0 < place < len(text) and "\ud800" <= text.slice(place - 1, place) < "\udc00"
