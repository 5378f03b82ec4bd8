"""What a server has heard and the order has lost: the *unsent chain*.

A server that slept through a loss of Redis wakes up with a history that is not the document's any
more. What only it has, it orders again, as a client does with what it has not sent.

Why nothing of it is dropped, and nothing doubled:

- Its pushes keep their client and seq. Whoever else orders one of them again, and every copy that
  still arrives, is void or confirms it: any entry makes a later one of its client and seq void.
- One that was settled as void is its client's, who was told so and pushes it anew.
- A valid change is valid when it is carried over others, so that none comes to be refused for what
  it is. One that is void because it came too late or cost too much (`Stale`) stays in the chain,
  under another name, the same on every server, and as one change, which costs less. Only if its
  client still asks for the fate of it, and sends it again, is it there twice.
- The limits of a document do not hold for it: it was within them when it was taken.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from collab.errors import InvalidChange, Stale
from collab.log.entry import Entry, public_name
from collab.text import Change
from collab.text.algebra import invert_sections
from collab.text.stretches import Stretches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collab.log.entry import Ordered
    from collab.rooms.history import History, Kept

MAX_BEHIND = 100
"""Over how many foreign updates a push is carried one by one. More become one change: what is
carried over it is as valid, and takes a hundredth of the time."""


@dataclass(slots=True)
class _Push:
    client: str
    seq: int
    author: str
    at: int
    updates: list[Change]

    @property
    def name(self) -> tuple[str, int]:
        return self.client, self.seq


class Chain:
    """Pushes that are not in the order, one after the other on its last revision received.

    To receive an update costs little, however long the chain: only those updates of the first push
    are carried over it that are up to date, and the rest when their turn comes.
    """

    def __init__(self, revision: int, pushes: Iterable[Kept]) -> None:
        """`pushes` follow `revision`, which the order has as well."""
        self.revision = revision
        self._pushes = deque(
            _Push(push.client, push.seq, push.author, push.at, list(push.updates))
            for push in pushes
            if not push.void
        )
        self._names = Counter(push.name for push in self._pushes)
        # So many updates of the first push apply at `revision`. What follows them in the chain does
        # not know yet what these changes did, which apply after those updates, in order.
        # Where they are too many, the older ones are one, which applies before the others.
        self._level = 0
        self._far: Stretches | None = None
        self._behind: list[Change] = []

    def __len__(self) -> int:
        """How many pushes are left."""
        return len(self._pushes)

    def __contains__(self, name: tuple[str, int]) -> bool:
        return name in self._names

    def receive(self, client: str, seq: int, change: Change, *, void: bool) -> None:
        """The next update of the order."""
        self.revision += 1
        name = client, seq
        if name in self._names:
            if not void and self._confirms(name, change):
                return
            self._take_out(name)
        if self._pushes and not void:  # a void one changes nothing
            self._take(change)

    def advance(self) -> bool:
        """Bring one more update of the first push up to date; False if there is none."""
        if not self._pushes or self._level == len(self._pushes[0].updates):
            return False
        updates = self._pushes[0].updates
        update = updates[self._level]
        if self._far is not None:
            update = self._far.carry(update)
        updates[self._level], self._behind = _carry(update, self._behind)
        self._level += 1
        return True

    def next(self) -> Entry | None:
        """The first push, on the last revision received; None if there is none."""
        while self.advance():
            pass
        if not self._pushes:
            return None
        push = self._pushes[0]
        return Entry(
            push.client, push.seq, self.revision, tuple(push.updates), push.author, push.at
        )

    def rename(self, client: str, seq: int) -> None:
        """A push of the chain took no effect, and nobody else has it: keep it under another name.

        No client can have that name, since no client's ID has a space.
        """
        place = self._place((client, seq))
        if place == 0:
            while self.advance():
                pass
            self._level = 1
        push = self._pushes[place]
        self._forget_name(push)
        push.client = public_name(f"{client} {seq}")
        push.updates = [_composed(push.updates)]
        self._names[push.name] += 1

    # -- how it is done -----------------------------------------------------------------------

    def _confirms(self, name: tuple[str, int], change: Change) -> bool:
        """Whether the chain's first update was ordered, as it is: then it is no more in it."""
        first = self._pushes[0]
        if first.name != name:
            return False
        if not self._level:
            self.advance()
        if first.updates[0] != change:
            return False
        del first.updates[0]
        self._level -= 1
        if not first.updates:
            self._forget(0)
        return True

    def _take(self, change: Change) -> None:
        """Carry what is up to date over somebody else's update; the rest follows later (T8)."""
        updates = self._pushes[0].updates
        for place in range(self._level):
            mine = updates[place]
            updates[place] = mine.map(change)
            change = change.map(mine, before=True)
        self._fall_behind(change)

    def _fall_behind(self, change: Change) -> None:
        self._behind.append(change)
        if len(self._behind) <= MAX_BEHIND:
            return
        if self._far is None:
            self._far = Stretches(self._behind[0])
            del self._behind[0]
        for each in self._behind:
            self._far.add(each)
        self._behind.clear()

    def _take_out(self, name: tuple[str, int]) -> None:
        """Carry the pushes after one over its inverse, as if it had not been there."""
        place = self._place(name)
        gone = self._forget(place)
        level = self._level if place == 0 else 0
        if level < len(gone.updates):
            undoing = [_undoing(_composed(gone.updates[level:]))]
            for push in list(self._pushes)[place:]:
                for index, update in enumerate(push.updates):
                    push.updates[index], undoing = _carry(update, undoing)
        if level:
            # The pushes after it do not know yet what the order did before it was taken out.
            self._fall_behind(_undoing(_composed(gone.updates[:level])))
            self._level = 0

    def _place(self, name: tuple[str, int]) -> int:
        return next(place for place, push in enumerate(self._pushes) if push.name == name)

    def _forget(self, place: int) -> _Push:
        push = self._pushes[place]
        del self._pushes[place]
        self._forget_name(push)
        return push

    def _forget_name(self, push: _Push) -> None:
        self._names[push.name] -= 1
        if not self._names[push.name]:
            del self._names[push.name]


class Reorder:
    """Orders again what only a server's lost history has: it hears the order, and says what to
    append next.

    `step` does the work in small parts, so that others come in between.
    """

    def __init__(self, lost: History, common: int, heard: Iterable[Heard]) -> None:
        """`common` is where the histories part, `heard` what the order has after that."""
        self._chain = Chain(common, lost.pushes(common))
        self._heard = deque(heard)
        self._in_flight: Entry | None = None

    @property
    def revision(self) -> int:
        """The revision up to which it has heard the order."""
        return self._chain.revision + len(self._heard)

    @property
    def done(self) -> bool:
        """Whether all that was lost is in the order."""
        return not self._chain and not self._heard

    def ordered(self, push: Ordered) -> None:
        """What is next in the order."""
        assert push.first == self.revision + 1, "the order is heard without a gap"
        late = isinstance(push.refusal, (Stale, InvalidChange))
        self._heard.extend(
            Heard(push.client, push.seq, change, push.void, late) for change in push.updates
        )

    def unknown(self, entry: Entry) -> None:
        """An entry may or may not come to be in the order: it is asked for again, which is safe.

        It must not be settled: nobody else has it.
        """
        if entry is self._in_flight:
            self._in_flight = None

    def step(self) -> bool:
        """Do a small part of what is to be done before `next`; False if nothing is."""
        if not self._heard:
            return self._chain.advance()
        heard = self._heard.popleft()
        if (heard.client, heard.seq) in self._chain and heard.late:
            self._chain.rename(heard.client, heard.seq)
        self._chain.receive(heard.client, heard.seq, heard.change, void=heard.void)
        flying = self._in_flight
        if flying is not None and (flying.client, flying.seq) == (heard.client, heard.seq):
            self._in_flight = None
        return True

    def next(self) -> Entry | None:
        """What to append now; None while one is in flight, and when all is done."""
        while self.step():
            pass
        if self._in_flight is not None:
            return None
        self._in_flight = self._chain.next()
        return self._in_flight


class Heard(NamedTuple):
    """An update of the order; `late` if it is void for coming too late or costing too much."""

    client: str
    seq: int
    change: Change
    void: bool
    late: bool = False


def heard_since(winner: History, revision: int) -> list[Heard]:
    """What a room that was read anew has heard after a revision that it keeps."""
    return [
        Heard(push.client, push.seq, change, push.void)
        for push in winner.pushes(revision)
        for change in push.updates
    ]


def _carry(update: Change, over: Iterable[Change]) -> tuple[Change, list[Change]]:
    """An update after others, and they after it (T8)."""
    rest: list[Change] = []
    for other in over:
        rest.append(other.map(update, before=True))
        update = update.map(other)
    return update, rest


def _composed(changes: Sequence[Change]) -> Change:
    """One change that does what all do, each two neighbours first."""
    while len(changes) > 1:
        pairs = (changes[place : place + 2] for place in range(0, len(changes), 2))
        changes = [reduce(Change.compose, pair) for pair in pairs]
    return changes[0]


def _undoing(change: Change) -> Change:
    """The way back, as far as others are mapped over it: what it puts back is never looked at, only
    how long it is.
    """
    removed = ("\0" * units for units, insert in change.sections if insert is not None)
    return Change(invert_sections(change.sections, removed))
