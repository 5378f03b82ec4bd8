"""A server as one function of what it gets: slow, obvious, in memory. The oracle of these tests.

It orders pushes as they come, rebases one update at a time (T8), settles what is asked for, and
keeps all it ever ordered. `restarted_at` makes another history of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from collab.client.wire import Limits, Push, Refused, Updates, Welcome
from collab.text import Change, Text

LIMITS = Limits(
    max_message_bytes=100_000,
    max_document_units=100_000,
    max_updates_per_push=1_000,
    max_sections_per_push=10_000,
    pushes_per_second=1_000,
    heartbeat_s=15.0,
)


@dataclass(frozen=True)
class Ordered:
    """One push in the order; a void one has no client (U3)."""

    client: str
    seq: int
    first: int
    updates: tuple[Change, ...]
    mark: str

    @property
    def last(self) -> int:
        return self.first + len(self.updates) - 1

    def message(self) -> Updates:
        return Updates(
            self.first,
            self.mark,
            [(self.client, self.seq, change.to_json()) for change in self.updates],
        )


@dataclass
class Model:
    """A document on the server. `epoch` is in every mark: another epoch is another history."""

    text: Text = field(default_factory=Text.empty)
    limits: Limits = LIMITS
    epoch: str = "a"
    revision: int = 0
    order: list[Ordered] = field(default_factory=list)
    settled: set[tuple[str, int]] = field(default_factory=set)

    @property
    def mark(self) -> str:
        return f"{self.epoch}{self.revision}"

    def push(self, client: str, push: Push) -> Ordered | Refused:
        """Take a push: it is ordered, or void because its fate was settled before it came."""
        chain = [Change.from_json(msgspec.json.decode(raw)) for raw in push.updates]
        if (client, push.seq) in self.settled:
            return Refused(push.seq, "unavailable", "settled")
        assert not self._find(client, push.seq), "a push was sent twice"
        concurrent = [
            change
            for ordered in self.order
            for revision, change in enumerate(ordered.updates, ordered.first)
            if revision > push.revision
        ]
        rebased: list[Change] = []
        for change in chain:
            mapped = change
            for place, other in enumerate(concurrent):
                concurrent[place] = other.map(mapped, before=True)
                mapped = mapped.map(other)
            rebased.append(mapped)
        return self.append(client, push.seq, *rebased)

    def append(self, client: str, seq: int, *updates: Change) -> Ordered:
        for change in updates:
            self.text = change.apply(self.text)
        first = self.revision + 1
        self.revision += len(updates)
        self.order.append(Ordered(client, seq, first, updates, self.mark))
        return self.order[-1]

    def type(self, *sections: Any, seq: int = 1, by: str = "else") -> Ordered:
        """Somebody else's update, on the last revision; sections as in T3."""
        return self.append(by, seq, Change.from_json(list(sections)))

    def void(self) -> Ordered:
        """A revision that a push took without effect."""
        return self.append("", 0, Change.empty(len(self.text)))

    def welcome(self, client: str, handshake: dict[str, str] | None = None) -> Welcome:
        """The answer to a handshake: resumed where it can be, and what was in flight is settled."""
        asked = handshake or {}
        inflight: Literal["ordered", "void"] | None = None
        if "inflight" in asked:
            seq = int(asked["inflight"])
            inflight = "ordered" if self._find(client, seq) else "void"
            self.settled.add((client, seq))
        revision, mark = int(asked.get("revision", -1)), asked.get("mark", "")
        kept = {(ordered.last, ordered.mark) for ordered in self.order} | {(0, f"{self.epoch}0")}
        resumed = (revision, mark) in kept
        return Welcome(
            protocol=1,
            client=client,
            session="s",
            revision=revision if resumed else self.revision,
            mark=mark if resumed else self.mark,
            head=self.revision,
            saved=0,
            role="editor",
            limits=self.limits,
            text=None if resumed else str(self.text),
            reset="revision" in asked and not resumed,
            inflight=inflight,
        )

    def since(self, revision: int) -> list[Updates]:
        return [ordered.message() for ordered in self.order if ordered.first > revision]

    def restarted_at(self, revision: int, epoch: str) -> Model:
        """The server after it lost what came after `revision`: another history from there on."""
        other = Model(limits=self.limits, epoch=epoch)
        for ordered in self.order:
            if ordered.last <= revision:
                other.append(ordered.client, ordered.seq, *ordered.updates)
        return other

    def _find(self, client: str, seq: int) -> bool:
        return any((ordered.client, ordered.seq) == (client, seq) for ordered in self.order)
