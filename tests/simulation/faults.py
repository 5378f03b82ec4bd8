"""What may go wrong, and what a seed makes of it.

Faults come in clusters: what is hard to survive is the second one, while the first is being dealt
with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Drawn = Callable[[random.Random], "Fault"]

    from tests.simulation.server import Server
    from tests.simulation.world import World


STOPS_LOSE_NOTHING = False
"""Whether a server that is told to go must not lose what it alone has."""


class Fault(Protocol):
    """Something that goes wrong, and by itself is well again after a while."""

    def strike(self, world: World) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a run consists of. `delays_s` are the network's, and `database_s` is how
    long the database takes at most when it is well. The servers' clocks are wrong by so much at
    most. Who may do what changes at `changes`.
    """

    redis: bool = False
    servers: int = 1
    documents: int = 1
    people: int = 3
    seconds: float = 20.0
    delays_s: tuple[float, float] = (0.001, 0.02)
    database_s: float = 0.0
    wrong_by_s: float = 0.0
    faults: list[tuple[float, Fault]] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)


# -- Editors -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CutEditor:
    """An editor's connection is cut; if not told, both ends find out by silence."""

    told: bool

    def strike(self, world: World) -> None:
        if world.people:
            person = world.random.choice(world.people)
            for end in person.ends:
                world.network.cut(end, told=self.told)


@dataclass(frozen=True)
class Leave:
    """Somebody leaves for good, and perhaps somebody else comes."""

    comes: bool

    def strike(self, world: World) -> None:
        if len(world.people) > 1:
            world.remove_person(world.random.choice(world.people))
        if self.comes:
            world.add_person(world.random.choice(world.documents))


# -- Servers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kill:
    """A server dies at an instant; another one takes its place."""

    back_s: float

    def strike(self, world: World) -> None:
        if world.servers:
            world.kill(world.random.choice(world.servers))
        world.later(self.back_s, world.fill_up)


@dataclass(frozen=True)
class KillAll:
    """All servers die at once."""

    back_s: float

    def strike(self, world: World) -> None:
        for server in tuple(world.servers):
            world.kill(server)
        world.later(self.back_s, world.fill_up)


@dataclass(frozen=True)
class KillAwake:
    """All servers die at once but those that stand still."""

    back_s: float

    def strike(self, world: World) -> None:
        for server in tuple(world.servers):
            if not server.machine.stopped:
                world.kill(server)
        world.later(self.back_s, world.fill_up)


@dataclass(frozen=True)
class Pause:
    """A server stands still."""

    seconds: float

    def strike(self, world: World) -> None:
        server = _any_server(world)
        if server is not None:
            server.machine.pause()
            world.later(self.seconds, server.machine.wake)


@dataclass(frozen=True)
class Stop:
    """A server is told to go, and another one takes its place."""

    def strike(self, world: World) -> None:
        server = _any_server(world)
        if server is not None and server.ready:
            server.machine.call_soon(world.stop, server)


def _any_server(world: World) -> Server | None:
    return world.random.choice(world.servers) if world.servers else None


# -- The database --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Database:
    """The database is down, does not answer, is slow, or fails now and then, for a while."""

    kind: str
    seconds: float

    def strike(self, world: World) -> None:
        database = world.database
        match self.kind:
            case "down":
                database.down = True
            case "hanging":
                database.hanging = True
            case "slow":
                database.slow_s = 1.0
            case _:
                database.failing = 0.4
        world.later(self.seconds, database.recover)


# -- Redis ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CutRedis:
    """A server's connections to Redis are cut: both, or the one that calls, or the one that
    listens.
    """

    which: str
    told: bool

    def strike(self, world: World) -> None:
        server = _any_server(world)
        if server is None or server.links is None:
            return
        for name, way in (("calls", server.links.calls), ("listening", server.links.listening)):
            if self.which in {name, "both"} and way.end is not None:
                world.network.cut(way.end, told=self.told)


@dataclass(frozen=True)
class HoldRedis:
    """Nothing passes between a server and Redis for a while."""

    seconds: float

    def strike(self, world: World) -> None:
        server = _any_server(world)
        if server is not None and world.redis is not None:
            until = world.clock.now + self.seconds
            world.network.hold(server.machine, world.redis.machine, until)


@dataclass(frozen=True)
class PauseRedis:
    """Redis stands still."""

    seconds: float

    def strike(self, world: World) -> None:
        if world.redis is not None:
            world.redis.machine.pause()
            world.later(self.seconds, world.redis.machine.wake)


@dataclass(frozen=True)
class RestartRedis:
    """Redis restarts: without the last seconds of its journal, or empty (None)."""

    lost_s: float | None
    down_s: float

    def strike(self, world: World) -> None:
        world.restart_redis(self.lost_s, self.down_s)


@dataclass(frozen=True)
class FullRedis:
    """Redis has no memory left for a while."""

    seconds: float

    def strike(self, world: World) -> None:
        if world.redis is not None:
            world.redis.store.full = True
            world.later(self.seconds, world.redis.make_room)


# -- Drawing a plan ------------------------------------------------------------------------------


def _seconds(rng: random.Random, most: float) -> float:
    """Short ones mostly."""
    return round(most * rng.random() ** 2, 3)


_EDITORS: list[Drawn] = [
    lambda rng: CutEditor(told=rng.random() < 0.7),
    lambda rng: CutEditor(told=True),
    lambda rng: Leave(comes=rng.random() < 0.8),
]
_SERVERS: list[Drawn] = [
    lambda rng: Kill(_seconds(rng, 8)),
    lambda rng: Pause(_seconds(rng, 25)),
    lambda rng: Pause(_seconds(rng, 4)),
    lambda rng: Stop(),
    lambda rng: KillAll(_seconds(rng, 4)),
]
_DATABASE: list[Drawn] = [
    lambda rng: Database(
        rng.choice(["down", "hanging", "slow", "failing", "failing"]), _seconds(rng, 15)
    ),
]
_REDIS: list[Drawn] = [
    lambda rng: CutRedis(rng.choice(["both", "calls", "listening"]), rng.random() < 0.7),
    lambda rng: HoldRedis(_seconds(rng, 10)),
    lambda rng: FullRedis(_seconds(rng, 10)),
    lambda rng: PauseRedis(_seconds(rng, 8)),
    lambda rng: RestartRedis(rng.choice([None, 0.05, 0.3, 1.0, 3.0, 0.0]), _seconds(rng, 3)),
]


def _sleeper(rng: random.Random) -> list[Fault]:
    """Somebody sleeps through a loss, and has what nobody else has."""
    struck: list[Fault] = [
        Database(rng.choice(["hanging", "slow", "down"]), rng.uniform(3, 12)),
        Pause(rng.uniform(4, 15)),
        RestartRedis(rng.choice([None, 0.5, 1.0, 3.0]), _seconds(rng, 2)),
    ]
    if rng.random() < 0.5:
        struck.insert(1, CutRedis("listening", told=False))
    if rng.random() < 0.7:
        struck.insert(rng.choice([2, 3]), KillAwake(_seconds(rng, 1)))
    return struck


def _twice(rng: random.Random) -> list[Fault]:
    """Redis is lost again, while the first loss is being healed."""
    struck: list[Fault] = [Database(rng.choice(["slow", "failing"]), rng.uniform(3, 12))]
    for _ in range(rng.randint(2, 3)):
        struck.append(RestartRedis(rng.choice([None, 0.3, 1.0]), _seconds(rng, 1)))
        struck.append(rng.choice(_SERVERS + _REDIS)(rng))
    return struck


def _split(rng: random.Random) -> list[Fault]:
    """A server hears nothing any more and does not know it, and the connection for calls breaks."""
    struck: list[Fault] = [
        CutRedis("listening", told=False),
        CutRedis("calls", rng.random() < 0.5),
    ]
    third: list[Fault] = [PauseRedis(_seconds(rng, 5)), HoldRedis(_seconds(rng, 6))]
    return [*struck, rng.choice([*third, CutEditor(told=True)]), rng.choice(_SERVERS)(rng)]


_RECIPES = [_sleeper, _sleeper, _twice, _split]


def _some(rng: random.Random, kinds: list[list[Drawn]]) -> list[Fault]:
    return [rng.choice(rng.choice(kinds))(rng) for _ in range(rng.randint(1, 5))]


def draw(rng: random.Random, *, redis: bool = True) -> Plan:
    """What a seed makes of it all."""
    kinds = [_EDITORS, _SERVERS, _DATABASE]
    if redis:
        kinds += [_REDIS, _REDIS]
    chosen = rng.sample(range(len(kinds)), rng.randint(1, len(kinds)))
    seconds = rng.choice([6.0, 10.0, 15.0])
    struck: list[tuple[float, Fault]] = []
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        at = rng.uniform(1.0, seconds)
        if rng.random() < 0.3:  # much is not saved when the others strike
            struck.append((round(at - rng.random(), 3), _DATABASE[0](rng)))
        recipe = rng.choice(_RECIPES)(rng) if redis and rng.random() < 0.4 else None
        for fault in recipe or _some(rng, [kinds[number] for number in chosen]):
            struck.append((round(at, 3), fault))
            at += rng.expovariate(1.5 if recipe is None else 3)
    return Plan(
        redis=redis,
        servers=rng.randint(1, 4) if redis else 1,
        documents=rng.choice([1, 1, 2]),
        people=rng.randint(2, 5),
        seconds=max([seconds, *(at + 1.0 for at, _ in struck)]),
        delays_s=rng.choice([(0.0002, 0.003), (0.001, 0.02), (0.001, 0.15)]),
        database_s=rng.choice([0.0, 0.0, 0.3, 2.0]),
        wrong_by_s=rng.choice([0.0, 0.1, 2.0]),
        faults=sorted(struck, key=lambda each: each[0]),
    )


def heal(world: World) -> None:
    """Everything is well from now on."""
    world.database.usual_s = 0.0
    world.database.recover()
    if world.redis is not None:
        world.redis.machine.wake()
        world.redis.make_room()
        world.network.hold_nothing()
        world.start_redis(0.0)
    for server in world.servers:
        server.machine.wake()
    world.fill_up()
