"""Who may do what in the world: it changes now and then, and by when every server must act upon it.

A change is one transaction, done at an instant, and one server is told, as by whoever asked it for
the change. That one tells the others by Redis. Where nothing is in the way, all act within a
second; otherwise by their comparison with the database, once that answers and they run.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from collab.rooms.access import LOOK_S
from collab.rooms.open_room import OpenRoom
from collab.rooms.standings import RETRY_MAX_S
from tests.simulation import faults
from tests.standing import role_given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collab.log.entry import Entry
    from collab.rooms.attendance import Author
    from tests.simulation.faults import Fault, Plan
    from tests.simulation.person import Person
    from tests.simulation.world import World

TOLD_S = 1.0
"""How long a change takes to hold on every server, where nothing is in the way (X2)."""

RECOVERY_S = 12.0
"""How long after a fault of Redis, or of a server, messages may still be missed."""

LATE = 20
"""How much later than usual the network may be with a message."""


@dataclass(frozen=True)
class Change:
    """Somebody has this role since then, "removed" for none. `due` is when all must know."""

    role: str
    at: float
    due: float

    @property
    def may_write(self) -> bool:
        return self.role == "editor"


class Access:
    """What the database says, and who must know it by now."""

    def __init__(self, world: World, check_s: float) -> None:
        self._world = world
        self._check_s = check_s
        self._random = random.Random(f"access {world.seed}")
        self._changes: dict[tuple[str, str], Change] = {}
        self._removed: set[tuple[str, str]] = set()

    def draw(self) -> list[float]:
        """When something changes. It takes nothing from what else a seed decides."""
        count = self._random.choice([0, 0, 0, 1, 1, 2, 3, 6])
        return [self._random.uniform(1.0, self._world.plan.seconds) for _ in range(count)]

    def change(self) -> None:
        """Somebody's role becomes another one."""
        world = self._world
        if not world.people:
            return
        person = self._random.choice(world.people)
        document_id = person.document.id
        role = self._random.choice(["viewer", "viewer", "commenter", "editor", "editor", "removed"])
        give = partial(role_given, document_id=document_id, user_id=person.name, role=role)
        world.database.tables.transaction(give)
        ready = [server for server in world.servers if server.ready]
        told = self._random.choice(ready) if ready else None
        if told is not None:
            work = told.registry.access_changed(document_id)
            told.machine.call_soon(partial(told.machine.create_task, work, name="access changed"))
        if role == "removed":
            self._removed.add((document_id, person.name))
        now = world.clock.now
        self._changes[document_id, person.name] = Change(
            role, now, _due(world.plan, now, told is not None, self._check_s)
        )
        world.note("world", f"{person.name} is {role} now; {told and told.machine.name} tells")

    def sent_away(self, person: Person) -> None:
        """They were told that they are removed."""
        self._world.sent_away(person)

    def was_removed(self, document_id: str, user_id: str) -> bool:
        """Once at least: they do not come back."""
        return (document_id, user_id) in self._removed

    # -- What must hold -----------------------------------------------------------------------

    def check(self) -> None:
        """No session is as it was before a change that its server must know of."""
        if wrong := self._wrong(self._world.clock.now):
            self._world.fail(wrong)

    @property
    def settled(self) -> bool:
        """Whether every server acts as the database says."""
        return not self._wrong(float("inf"))

    def _wrong(self, now: float) -> str:
        for server in self._world.servers:
            if server.machine.stopped:
                continue
            for document in self._world.documents:
                room = server.room(document.id)
                for session in () if room is None else room.attendance.sessions():
                    change = self._changes.get((document.id, session.name))
                    if change is None or now < change.due:
                        continue
                    if change.role == "removed":
                        return f"{session.name} is still on {server.machine.name}: {change}"
                    if session.may_write != change.may_write:
                        return f"{session.name} is not {change.role} on {server.machine.name}"
        return ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """No push is given to the log that its author may no longer make."""
        real = OpenRoom._push
        world = self._world

        def push(room: OpenRoom, entry: Entry, author: Author) -> None:
            real(room, entry, author)
            change = self._changes.get((room.document_id, entry.author))
            if change is not None and not change.may_write and world.clock.now > change.due:
                world.fail(f"a push of {entry.author} was taken: {change}")

        OpenRoom._push = push  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            OpenRoom._push = real  # type: ignore[method-assign]


# -- By when it must be known ----------------------------------------------------------------------

Window = tuple[float, float]


def _due(plan: Plan, at: float, told: bool, check_s: float) -> float:
    """When every server must act upon a change, whatever else the plan does to it."""
    slow_s = plan.database_s + max([0.0, *(1.0 for _, fault in plan.faults if _is_slow(fault))])
    soon_s = TOLD_S + 2 * LATE * plan.delays_s[1] + 2 * slow_s
    waiting, deaf = _windows(plan)
    if told and not _hit([*waiting, *deaf], at, at + soon_s):
        return at + soon_s
    # One comparison and one look, with nothing in the way; what was begun before is given up first.
    whole_s = check_s + 1.0 + 2 * slow_s + LOOK_S + RETRY_MAX_S
    begins = at
    while (hit := _hit(waiting, begins, begins + whole_s)) is not None:
        begins = hit[1]
    return begins + whole_s


def _hit(windows: list[Window], start: float, end: float) -> Window | None:
    return next((each for each in windows if each[0] < end and each[1] > start), None)


def _windows(plan: Plan) -> tuple[list[Window], list[Window]]:
    """When the database does not answer or a server stands still; when messages may be missed."""
    waiting, deaf = [], []
    for at, fault in plan.faults:
        lasts_s = getattr(fault, "seconds", 0.0)
        match fault:
            case faults.Database():
                waiting.append((at, min(at + lasts_s, plan.seconds)))
            case faults.Pause():
                waiting.append((at, min(at + lasts_s, plan.seconds)))
                deaf.append((at, at + lasts_s + RECOVERY_S))
            case faults.CutEditor() | faults.Leave():
                pass
            case _:
                lasts_s += getattr(fault, "down_s", 0.0) + getattr(fault, "back_s", 0.0)
                deaf.append((at, at + lasts_s + RECOVERY_S))
    return waiting, deaf


def _is_slow(fault: Fault) -> bool:
    return isinstance(fault, faults.Database)
