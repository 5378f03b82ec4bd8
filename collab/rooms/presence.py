"""Who is here, and where their cursors are (A1, A2).

A peer's ranges are positions in the text of a revision. They are carried forward over the updates
since, so that whoever is sent them can go on from there.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from collab.log.entry import encode_json

if TYPE_CHECKING:
    from collab.rooms.history import History

Ranges: TypeAlias = Sequence[tuple[int, int]]
"""Anchor and head of each."""

MAX_CARRY = 1_000
"""Over how many updates ranges are carried; of a peer that did not move for longer, they are left
out."""

MAX_CARRY_COST = 200_000
"""How many sections are met in one round of carrying; who comes after that is left without."""

MAX_LEFT = 10_000
"""How many of those who left are remembered for sessions that have not heard of it."""

COLORS = (
    "#b3261e",
    "#9a4600",
    "#7d5700",
    "#556500",
    "#2e6b1f",
    "#006c4c",
    "#00696f",
    "#00639b",
    "#2d5bb9",
    "#5a4fc4",
    "#8a3fb0",
    "#a63572",
)
"""Each with a contrast of at least 4.5 against white."""


def color_of(user_id: str) -> str:
    """A user's colour, the same on every server and in every document."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=2).digest()
    return COLORS[int.from_bytes(digest, "big") % len(COLORS)]


@dataclass(slots=True)
class Peer:
    """`version` counts the changes of everybody's presence, up to this peer's last."""

    client: str
    name: str
    color: str
    version: int
    revision: int = 0
    ranges: Ranges = ()

    def encode(self) -> bytes:
        return encode_json(
            {
                "client": self.client,
                "name": self.name,
                "color": self.color,
                "revision": self.revision,
                "ranges": self.ranges,
            }
        )


@dataclass(frozen=True, slots=True)
class News:
    """What has changed since a version: peers by client, in JSON, and who left."""

    peers: dict[str, bytes]
    left: list[str]

    def message(self, besides: str) -> bytes | None:
        """A2, for one client: everybody else's. None if there is nothing to tell."""
        peers = self.peers
        if besides in peers:
            peers = {client: peer for client, peer in peers.items() if client != besides}
        if not peers and not self.left:
            return None
        return b'{"type":"presence","peers":[%s],"left":%s}' % (
            b",".join(peers.values()),
            encode_json(self.left),
        )


class Presence:
    """The peers of one room. `version` grows with each change."""

    def __init__(self, history: History) -> None:
        self.version = 0
        self._history = history
        self._peers: dict[str, Peer] = {}
        self._left: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __getitem__(self, client: str) -> Peer:
        return self._peers[client]

    def join(self, client: str, name: str, color: str) -> None:
        """A client is present, without a cursor yet."""
        self._left.pop(client, None)
        self._peers[client] = Peer(client, name, color, self._next())

    def show(self, client: str, name: str, color: str, revision: int, ranges: Ranges) -> None:
        """A client is present on another server, with these cursors."""
        self.join(client, name, color)
        self.move(client, revision, ranges)

    def leave(self, client: str) -> None:
        if self._peers.pop(client, None) is not None:
            self._left[client] = self._next()
            if len(self._left) > MAX_LEFT:
                del self._left[next(iter(self._left))]

    def move(self, client: str, revision: int, ranges: Ranges) -> None:
        """The client's cursors, in the text of a revision. The latest counts."""
        peer = self._peers.get(client)
        if peer is not None:
            peer.revision, peer.ranges, peer.version = revision, ranges, self._next()

    def news(self, since: int, visible: int, length: int) -> News:
        """What has changed since a version, with positions in the visible text of `length` units.

        Since -1: everybody.
        """
        changed = [peer for peer in self._peers.values() if peer.version > since]
        budget = MAX_CARRY_COST
        for peer in changed:
            budget = self._carry(peer, visible, length, budget)
        left = [client for client, version in self._left.items() if version > since >= 0]
        return News({peer.client: peer.encode() for peer in changed}, left)

    def _carry(self, peer: Peer, visible: int, length: int, budget: int) -> int:
        """Bring a peer's ranges to the visible revision, where that can be done within `budget`.

        Ranges of a revision that is not visible yet stay: who is sent them waits for it (A1).
        Returns what is left of the budget.
        """
        if peer.revision > visible or not peer.ranges:
            return budget
        if peer.revision < max(visible - MAX_CARRY, self._history.start):
            peer.ranges = ()
        else:
            for change in self._history.since(peer.revision)[: visible - peer.revision]:
                budget -= change.size * 2 * len(peer.ranges)
                if budget < 0:
                    peer.ranges = ()
                    break
                peer.ranges = [
                    (
                        change.map_position(min(anchor, change.length)),
                        change.map_position(min(head, change.length)),
                    )
                    for anchor, head in peer.ranges
                ]
        peer.revision = visible
        peer.ranges = [(min(anchor, length), min(head, length)) for anchor, head in peer.ranges]
        return max(budget, 0)

    def _next(self) -> int:
        self.version += 1
        return self.version


def bounded(ranges: Iterable[tuple[int, int]], max_ranges: int, max_units: int) -> Ranges:
    """What a client sent, within the limits: the first ranges, clamped (A1)."""
    return [
        (min(max(anchor, 0), max_units), min(max(head, 0), max_units))
        for anchor, head in itertools.islice(ranges, max_ranges)
    ]
