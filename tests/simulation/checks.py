"""What must hold, looked at whenever anybody can see it.

Histories are known by their marks: each entry that any room applied is a node below the one before
it. What people are shown, what they are told is saved, and what the database has in the end must
all be one path through them, but where something was lost that nobody could keep.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from collab.client import wire
from collab.log.entry import first_mark
from collab.rooms.room import Room
from tests.simulation.database import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from collab.log.entry import Entry, Ordered

Push = tuple[str, int]
"""A client's public name and a seq."""


@dataclass(frozen=True, slots=True)
class Node:
    """What an entry made of the history before it."""

    before: int
    before_mark: str
    last: int
    mark: str
    push: Push
    void: bool
    changes: tuple[bytes, ...]


class Broken(AssertionError):
    """A promise does not hold."""


class Histories:
    """All histories that any room ever knew."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def applied(self, made: Ordered) -> None:
        """The same log gives the same text on every server."""
        node = Node(
            made.before.revision,
            made.before.mark,
            made.last,
            made.mark,
            (made.client, made.seq),
            made.void,
            made.changes,
        )
        if self._nodes.setdefault(made.mark, node) != node:
            raise Broken(f"two servers made different things of {node.push} at {node.last}")

    def node(self, mark: str) -> Node:
        return self._nodes[mark]

    def find(self, mark: str) -> Node | None:
        return self._nodes.get(mark)

    def back(self, mark: str, upto: int) -> Iterator[Node]:
        """What leads to a mark, the last first, down to a revision."""
        while (node := self._nodes.get(mark)) is not None and node.last > upto:
            yield node
            mark = node.before_mark

    def between(self, mark: str, upto: int) -> list[Node]:
        return list(self.back(mark, upto))[::-1]

    @contextmanager
    def watching(self, failed: Callable[[str], None]) -> Iterator[None]:
        """Hear of everything that any room applies."""
        real = Room.apply

        def apply(room: Room, entry: Entry, mark: str) -> Ordered:
            made = real(room, entry, mark)
            try:
                self.applied(made)
            except Broken as broken:
                failed(str(broken))
            return made

        Room.apply = apply  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            Room.apply = real  # type: ignore[method-assign]


class SavedPath:
    """The history of one document as the database has it, which only ever grows."""

    def __init__(self, document_id: str, histories: Histories) -> None:
        self._document_id = document_id
        self._histories = histories
        self.revision = 0
        self.mark = first_mark(document_id)
        self.marks = {0: self.mark}
        self.pushes: list[Node] = []

    def look(self) -> None:
        revision, mark = tables().saved(self._document_id)
        if mark == self.mark:
            return
        new = self._histories.between(mark, self.revision)
        begins = (new[0].before, new[0].before_mark) if new else None
        if revision < self.revision or begins != (self.revision, self.mark):
            raise Broken(f"the database had {self.revision}, and has another history {revision}")
        for node in new:
            self.marks[node.last] = node.mark
        self.pushes += new
        self.revision, self.mark = revision, mark

    def has(self, node: Node) -> bool:
        return self.marks.get(node.last) == node.mark


class Document:
    """What is promised of one document."""

    def __init__(self, document_id: str, histories: Histories) -> None:
        self.id = document_id
        self.saved = SavedPath(document_id, histories)
        self.shown: dict[int, Node] = {}
        """What anybody was shown, by its last revision."""
        self.ever_shown: dict[Push, Node] = {}
        self.told: set[Push] = set()
        """What its author knows to have taken effect."""
        self.logged: set[str] = set()
        """The marks of all that the log ever held."""
        self.may_part = False
        """Whether Redis lost something: another history may be shown from then on."""
        self.reset = False
        """Whether anybody had to start afresh: what they had deleted and not sent may be back."""
        self.excused: set[Push] = set()
        """What was lost with everybody who had it."""
        self.gone: set[str] = set()
        """The marks of all that was, when somebody was lost for the last time."""
        self.typed: dict[str, str] = {}
        """Each token, and who typed it."""
        self.deleted: set[str] = set()
        self.refused: set[str] = set()
        self.unsure: set[str] = set()
        """What people typed who left before they knew that it is ordered."""
        self._histories = histories

    # -- What a person hears ------------------------------------------------------------------

    def show(self, nodes: Iterable[Node]) -> None:
        """One order; and nothing is shown that the log does not have."""
        for node in nodes:
            before = self.shown.get(node.last)
            if before is not None and before.mark != node.mark and not self.may_part:
                raise Broken(
                    f"revision {node.last} was shown as {before.push} and as {node.push} now"
                )
            self.shown[node.last] = node
            if not node.void:
                self.ever_shown[node.push] = node
                if node.mark in self.gone:
                    self.excused.add(node.push)
            if node.mark not in self.logged:
                self.saved.look()
                if not self.saved.has(node):
                    raise Broken(f"{node.push} was shown, and no log has it")

    def told_saved(self, revision: int, here: int, mark: str) -> None:
        """Saved is true: the database has this history up to that revision."""
        self.saved.look()
        if revision > self.saved.revision:
            raise Broken(f"{revision} was called saved; the database has {self.saved.revision}")
        if revision > here:
            return
        for node in self._histories.back(mark, revision):
            mark = node.before_mark
        if revision in self.saved.marks and self.saved.marks[revision] != mark:
            raise Broken(f"{revision} was called saved; the database has another history")

    # -- The end ------------------------------------------------------------------------------

    def check_end(self, text: str) -> None:
        self.saved.look()
        took_effect, void = set[Push](), set[Push]()
        for node in self.saved.pushes:
            if node.void:
                void.add(node.push)
                continue
            if node.push in took_effect:
                raise Broken(f"{node.push} took effect twice")
            took_effect.add(node.push)
        # One whose author was told that it is void comes again, under another seq.
        again = void - self.told
        shown = self.told | self.ever_shown.keys()
        if lost := sorted(shown - took_effect - again - self.excused):
            raise Broken(f"{lost} were shown and are not in the history")
        self._check_tokens(text)

    def _check_tokens(self, text: str) -> None:
        excused = {
            token
            for push in self.excused & self.ever_shown.keys()
            for token in _inserted(self.ever_shown[push])
        }
        if len(set(text)) < len(text):
            twice = sorted({token for token in text if text.count(token) > 1})
            raise Broken(f"doubled: {self._tell(twice)}")
        here = set(text)
        must = self.typed.keys() - self.deleted - self.refused - self.unsure - excused
        if missing := must - here:
            raise Broken(f"lost: {self._tell(sorted(missing))}")
        if wrong := here & self.refused:
            raise Broken(f"refused and yet there: {self._tell(sorted(wrong))}")
        if not self.excused and not self.reset and (back := here & self.deleted - self.unsure):
            raise Broken(f"deleted and yet there: {self._tell(sorted(back))}")

    def _tell(self, tokens: Iterable[str]) -> str:
        return ", ".join(f"{ord(token):x} of {self.typed.get(token)}" for token in tokens)


def _inserted(node: Node) -> Iterator[str]:
    """The characters that a push inserted."""
    for change in node.changes:
        for section in msgspec.json.decode(change):
            if isinstance(section, list):
                for line in section[1:]:
                    yield from line


class Ear:
    """Listens to what one connection of a person's is told, and compares it with the histories."""

    def __init__(
        self,
        document: Document,
        histories: Histories,
        start: tuple[int, str],
        in_flight: int | None,
    ) -> None:
        """`start` is where the person stood before, `in_flight` the seq of their last push, if
        they do not know its fate.
        """
        self.document = document
        self._name = ""
        self._in_flight = in_flight
        self.revision, self.mark = start
        self._histories = histories

    def hear(self, message: str) -> str | None:
        """Returns what to note of it."""
        said: Any = wire.decode(message.encode())
        match said:
            case wire.Welcome():
                self._name = said.client
                if said.inflight == "ordered" and self._in_flight is not None:
                    self.document.told.add((self._name, self._in_flight))
                if said.text is not None:
                    self.document.reset |= said.reset
                    self.revision, self.mark = said.revision, said.mark
                    if said.revision:
                        self.document.show(self._histories.between(said.mark, 0))
                self.document.told_saved(min(said.saved, self.revision), self.revision, self.mark)
                kind = "resumed" if said.text is None else "fresh"
                fate = f", in flight {said.inflight}" if said.inflight else ""
                return f"welcome {kind} at {self.revision} {self.mark[:6]}{fate}"
            case wire.Updates():
                self._updates(said)
                return f"updates to {self.revision} {self.mark[:6]}"
            case wire.Saved():
                self.document.told_saved(said.revision, self.revision, self.mark)
                return None
            case wire.Beat():
                if (said.revision, said.mark) != (self.revision, self.mark):
                    raise Broken(
                        f"a beat at {said.revision}, and the session is at {self.revision}"
                    )
                self.document.told_saved(said.saved, self.revision, self.mark)
                return None
            case wire.Refused():
                return f"refused {said.seq}: {said.code} {said.message}"
            case wire.Goodbye():
                return "goodbye"
        return None

    def _updates(self, said: wire.Updates) -> None:
        nodes = self._histories.between(said.mark, self.revision)
        if not nodes or (nodes[0].before, nodes[0].before_mark) != (self.revision, self.mark):
            raise Broken(
                f"updates to {said.mark[:6]} do not follow {self.revision} {self.mark[:6]}"
            )
        items = [
            [*(("", 0) if node.void else node.push), msgspec.json.decode(change)]
            for node in nodes
            for change in node.changes
        ]
        if said.revision != self.revision + 1 or items != [list(item) for item in said.updates]:
            raise Broken(f"the updates after {self.revision} are not those of the history")
        self.revision, self.mark = nodes[-1].last, nodes[-1].mark
        self.document.show(nodes)
        self.document.told.update(
            node.push for node in nodes if node.push[0] == self._name and not node.void
        )
