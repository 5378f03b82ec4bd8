"""The network between machines: late, in order on each connection, and cut at times.

A connection is two ends. What one sends arrives at the other in its order, each message after a
delay of its own. When it is cut, what is under way may still arrive or may not, and each end learns
of it in its own time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.loop import Handle, Machine

SILENCE_S = 20.0
"""After how long an end learns at the latest that nobody is at the other any more."""


class End:
    """One end of a connection, on a machine."""

    def __init__(self, network: Network, machine: Machine) -> None:
        self.machine = machine
        self.open = True
        self.on_message: Callable[[Any], None] = lambda _: None
        self.on_lost: Callable[[], None] = lambda: None
        self.under_way = 0
        """How much was sent from here that has not arrived."""
        self._network = network
        self._peer: End
        self._arrival = 0.0
        self._arriving: deque[Handle] = deque()

    def join(self, peer: End) -> None:
        self._peer, peer._peer = peer, self

    @property
    def peer(self) -> End:
        return self._peer

    def send(self, message: Any) -> None:
        if self.open and not self.machine.dead:
            self._send(self._peer._hear, message)

    def close(self) -> None:
        """What was sent still arrives, then the other end is told."""
        if self.open:
            self.open = False
            self._send(self._peer.lose)

    def _send(self, callback: Callable[..., None], *args: Any) -> None:
        peer = self._peer
        now = self.machine.clock.now
        held = self._network.held_until(self.machine, peer.machine)
        peer._arrival = max(peer._arrival, held, now + self._network.delay_s())
        self.under_way += 1
        while peer._arriving and peer._arriving[0].when() <= now and not peer.machine.stopped:
            peer._arriving.popleft()
        handle = peer.machine.call_at(peer._arrival, peer._arrive, callback, *args)
        peer._arriving.append(handle)

    def _arrive(self, callback: Callable[..., None], *args: Any) -> None:
        self._peer.under_way -= 1
        callback(*args)
        if self._peer.on_room is not None:
            self._peer.machine.call_soon(self._peer.on_room)

    on_room: Callable[[], None] | None = None
    """Called when something arrived that was sent from here."""

    def _hear(self, message: Any) -> None:
        if self.open:
            self.on_message(message)

    def lose(self) -> None:
        """The connection is gone, as this end learns."""
        if self.open:
            self.open = False
            self.on_lost()

    def drop_arriving(self, share: float) -> None:
        """Of what is under way to this end, about the last `share` never arrives."""
        waiting = [handle for handle in self._arriving if not handle.cancelled()]
        for handle in waiting[len(waiting) - round(len(waiting) * share) :]:
            handle.cancel()
        self._arriving.clear()


class Network:
    """All connections that are open."""

    def __init__(self, rng: random.Random, min_delay_s: float, max_delay_s: float) -> None:
        self.random = rng
        self._delays = min_delay_s, max_delay_s
        self._connections: dict[End, End] = {}
        self._held: dict[frozenset[Machine], float] = {}

    def delay_s(self) -> float:
        low, high = self._delays
        if self.random.random() < 0.02:
            high *= 20
        return self.random.uniform(low, high)

    def connect(self, client: Machine, server: Machine) -> tuple[End, End]:
        """The client's end and the server's."""
        here, there = End(self, client), End(self, server)
        here.join(there)
        self._connections[here] = there
        return here, there

    def connections(self, one: Machine, other: Machine | None = None) -> list[End]:
        """The clients' ends of those that a machine has, all or with another one."""
        self._connections = {
            here: there for here, there in self._connections.items() if here.open or there.open
        }
        return [
            here
            for here, there in self._connections.items()
            if one in (here.machine, there.machine)
            and (other is None or other in (here.machine, there.machine))
        ]

    def cut(self, end: End, *, told: bool = True) -> None:
        """Cut a connection; where `told` is false, the ends find out by silence."""
        for side in (end, end.peer):
            side.drop_arriving(self.random.random())
            late_s = self.random.uniform(0, 0.05 if told else SILENCE_S)
            side.machine.call_later(late_s, side.lose)
            # Nothing more goes in; what arrived before is heard.
        end.send = end.peer.send = _into_the_void  # type: ignore[method-assign]

    def lost(self, machine: Machine) -> None:
        """A machine is dead: its peers are told."""
        for end in self.connections(machine):
            self.cut(end)

    def hold(self, one: Machine, other: Machine, until: float) -> None:
        """What is sent between two machines arrives no earlier than this."""
        self._held[frozenset((one, other))] = until

    def hold_nothing(self) -> None:
        self._held.clear()

    def held_until(self, one: Machine, other: Machine) -> float:
        return self._held.get(frozenset((one, other)), 0.0)


def _into_the_void(message: Any) -> None: ...
