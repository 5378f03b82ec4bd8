"""The other servers that have this document open: who is there, and what they are told of here.

Anything that is told may be lost on the way. So a server numbers its news, and says the last number
with every heartbeat: who missed one asks for all of it. A server that is not heard of for too long
is gone, and its sessions with it (A4).

A client has one session on all servers together, the one whose handshake arrived last (H7). Every
server judges that for its own sessions, by the arrivals that it hears of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, assert_never

from collab.rooms.server_messages import (
    Alive,
    Arrived,
    Ask,
    Bye,
    Message,
    News,
    Peer,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.rooms.clock import HybridClock
    from collab.rooms.presence import Presence

PATIENCE = 2.5
"""After how many heartbeats without a word a neighbour is gone. One may be lost."""

MAX_RANGES = 5_000
"""How many ranges go into one message, about; the others wait for the next."""

MAX_ARRIVING = 1_000
"""How many handshakes of one neighbour are remembered until they are sessions."""

Stamp = tuple[int, str]
"""When a session's handshake arrived, and where: no two are the same."""


class Here(Protocol):
    """The sessions of this server."""

    def replace(self, client: str) -> None:
        """A newer session of this client has come: end the one here."""


@dataclass(slots=True)
class Neighbour:
    """Another server, as far as it was heard. Of one that has said nothing, nobody is known."""

    number: int = 0
    peers: dict[str, Peer] = field(default_factory=dict)
    arriving: dict[str, int] = field(default_factory=dict)
    asked: bool = False
    heard: bool = True
    """Since the last check; `heard_at` is the last check before which it was."""
    heard_at: float = 0.0

    def latest(self, client: str) -> int:
        """When a client's last handshake came to it; 0 if none is known."""
        peer = self.peers.get(client)
        return max(self.arriving.get(client, 0), 0 if peer is None else peer.arrival)


class Neighbours:
    """Of one room. Their peers go into `presence`, where those of this server are."""

    def __init__(
        self, server: str, presence: Presence, clock: HybridClock, heartbeat_s: float
    ) -> None:
        """`server` is the name of this room among the document's, never used again."""
        self._server = server
        self._presence = presence
        self._clock = clock
        self._patience_s = PATIENCE * heartbeat_s
        self._channel: Callable[[bytes], None] | None = None
        self._here: Here | None = None
        self._neighbours: dict[str, Neighbour] = {}
        self._arrivals: dict[str, int] = {}  # of the sessions here
        self._number = 0
        self._changed: dict[str, None] = {}  # clients that the next news is about
        self._all_due = False

    def open(self, channel: Callable[[bytes], None], here: Here) -> None:
        """From now on, `hear` is told what others give to `channel`."""
        self._channel = channel
        self._here = here
        self._tell(Ask(self._server, None))

    def close(self) -> None:
        self._tell(Bye(self._server))
        self._channel = self._here = None
        self._neighbours.clear()

    def resubscribed(self) -> None:
        """Anything may have been missed, here and there."""
        self._all_due = bool(self._neighbours)
        self._tell(Ask(self._server, None))

    def _tell(self, message: Message) -> None:
        if self._channel is not None:
            self._channel(encode(message))

    # -- The sessions here --------------------------------------------------------------------

    def arrived(self, client: str, arrival: int) -> None:
        """A handshake has begun here. Others hear of it at once, so that one that comes to them
        from now on is later by their clocks too.
        """
        self._tell(Arrived(self._server, client, arrival, joined=False))

    def overtook(self, client: str, arrival: int) -> bool:
        """Whether a later handshake of this client, or the session it led to, is elsewhere."""
        return any(
            (neighbour.latest(client), server) > (arrival, self._server)
            for server, neighbour in self._neighbours.items()
        )

    def join(self, client: str, arrival: int) -> None:
        self._arrivals[client] = arrival
        # The news may wait for its turn; the session that this one replaces must not.
        self._tell(Arrived(self._server, client, arrival, joined=True))
        self._note(client)

    def leave(self, client: str) -> None:
        if self._arrivals.pop(client, None) is not None:
            self._note(client)
            self._decide(client)

    def move(self, client: str) -> None:
        self._note(client)

    def _note(self, client: str) -> None:
        if self._neighbours:
            self._changed[client] = None
        else:
            self._number += 1  # news that nobody was told

    @property
    def due(self) -> bool:
        """Whether there is anything to publish."""
        return self._all_due or bool(self._changed)

    def publish(self) -> int:
        """Tell the others what is due, the latest of each client. Returns its bytes."""
        everybody, self._all_due = self._all_due, False
        clients = dict.fromkeys((*self._arrivals, *self._changed)) if everybody else self._changed
        self._changed = {}
        peers: list[Peer] = []
        left: list[str] = []
        room = MAX_RANGES
        for client in clients:
            if client not in self._arrivals:
                left.append(client)
            elif room > 0:
                peers.append(self._peer(client))
                room -= len(peers[-1].ranges)
            else:
                self._changed[client] = None
                if everybody:  # whoever is not named has left
                    peers.append(self._peer(client, without_ranges=True))
        self._number += 1
        message = encode(News(self._server, self._number, everybody, peers, left))
        if self._channel is not None:
            self._channel(message)
        return len(message)

    def _peer(self, client: str, *, without_ranges: bool = False) -> Peer:
        peer = self._presence[client]
        ranges = () if without_ranges else peer.ranges
        arrival = self._arrivals[client]
        return Peer(client, peer.name, peer.color, arrival, peer.revision, ranges)

    # -- The others ---------------------------------------------------------------------------

    def hear(self, data: bytes) -> None:
        message = decode(data)
        if message is None or message.sender == self._server or self._channel is None:
            return
        match message:
            case Bye(sender):
                self._forget(sender)
            case Alive(sender, number, at):
                self._clock.hear(at)
                neighbour = self._heard(sender)
                if number != neighbour.number:
                    self._ask(sender, neighbour)
            case Ask(sender, of):
                self._heard(sender)
                self._all_due |= of is None or of == self._server
            case Arrived(sender, client, arrival, joined):
                self._clock.hear(arrival)
                self._expect(self._heard(sender), client, arrival)
                if joined:
                    self._yield(client, (arrival, sender))
            case News():
                self._learn(message)
            case _:
                assert_never(message)

    def _heard(self, server: str) -> Neighbour:
        neighbour = self._neighbours.get(server)
        if neighbour is None:
            neighbour = self._neighbours[server] = Neighbour()
            self._all_due |= bool(self._arrivals)  # what it may not have been told
        neighbour.heard = True
        return neighbour

    def _ask(self, server: str, neighbour: Neighbour) -> None:
        neighbour.asked = True
        self._tell(Ask(self._server, server))

    def _expect(self, neighbour: Neighbour, client: str, arrival: int) -> None:
        neighbour.arriving.pop(client, None)
        neighbour.arriving[client] = arrival
        if len(neighbour.arriving) > MAX_ARRIVING:
            del neighbour.arriving[next(iter(neighbour.arriving))]

    def _learn(self, news: News) -> None:
        neighbour = self._heard(news.sender)
        left = set(news.left)
        if news.all:
            left |= neighbour.peers.keys() - {peer.client for peer in news.peers}
        if news.all or news.number == neighbour.number + 1:
            neighbour.number = news.number
            neighbour.asked = False
        elif not neighbour.asked:  # it counts all the same: what was missed comes with the answer
            self._ask(news.sender, neighbour)
        for peer in news.peers:
            self._clock.hear(peer.arrival)
            neighbour.arriving.pop(peer.client, None)
            if peer != neighbour.peers.get(peer.client):
                neighbour.peers[peer.client] = peer
                self._decide(peer.client)
        for client in left:
            if neighbour.peers.pop(client, None) is not None:
                self._decide(client)

    def _decide(self, client: str) -> None:
        """Which session of a client is the one; the one here ends if it is not."""
        stamp, newest = max(
            (
                ((neighbour.peers[client].arrival, server), neighbour.peers[client])
                for server, neighbour in self._neighbours.items()
                if client in neighbour.peers
            ),
            key=lambda found: found[0],
            default=((0, ""), None),
        )
        if client in self._arrivals:
            self._yield(client, stamp)  # which leaves, and so comes back to here
        elif newest is None:
            self._presence.leave(client)
        else:
            self._presence.show(client, newest.name, newest.color, newest.revision, newest.ranges)

    def _yield(self, client: str, to: Stamp) -> None:
        """A session of this client is elsewhere: end the one here if it is older."""
        arrival = self._arrivals.get(client)
        if arrival is not None and (arrival, self._server) < to and self._here is not None:
            self._here.replace(client)

    # -- The heart ----------------------------------------------------------------------------

    def beat(self) -> None:
        self._tell(Alive(self._server, self._number, self._clock.now()))

    def check(self, now: float) -> None:
        """Forget those who have been silent for too long. Called several times a heartbeat."""
        for server, neighbour in tuple(self._neighbours.items()):
            if neighbour.heard:
                neighbour.heard, neighbour.heard_at = False, now
            elif now - neighbour.heard_at > self._patience_s:
                self._forget(server)

    def _forget(self, server: str) -> None:
        gone = self._neighbours.pop(server, None)
        if gone is None:
            return
        if not self._neighbours and self.due:
            self._changed.clear()
            self._all_due = False
            self._number += 1
        for client in gone.peers:
            self._decide(client)
