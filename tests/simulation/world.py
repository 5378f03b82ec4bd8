"""A world of servers, editors, a Redis and a database, in which everything follows from a seed.

What there is and what goes wrong when is drawn first (`faults`). Then people type while it happens;
in the end everything is well again, nobody types any more, and all must come to agree.
"""

from __future__ import annotations

import hashlib
import random
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from collab.access.roles import Role
from collab.access.tokens import User
from collab.settings import Settings
from collab.storage import documents, history
from tests.simulation import faults
from tests.simulation.access import Access
from tests.simulation.checks import Broken, Document, Histories
from tests.simulation.database import DatabaseServer
from tests.simulation.links import SimulatedLinks
from tests.simulation.loop import Clock, Stuck, virtual
from tests.simulation.network import Network
from tests.simulation.person import Person, Tokens
from tests.simulation.redis import Redis
from tests.simulation.server import Server
from tests.simulation.websocket import ClientSocket, Request, dialling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from tests.simulation.checks import Node
    from tests.simulation.faults import Plan

PATIENCE_S = 240.0
"""How long it may take until all agree, when everything is well again."""

REST_S = 5.0
"""For how long they must agree: a server may have something yet that the others do not know of."""

LOOK_S = 0.25
"""How often it is looked whether all agree."""

OWNER = User("owner", "Owner", guest=False)

SETTINGS = Settings(
    heartbeat_s=3.0,
    room_idle_s=6.0,
    open_timeout_s=8.0,
    commit_patience_s=6.0,
    shutdown_s=5.0,
    stall_s=20.0,
    sweep_s=8.0,
    access_check_s=4.0,
    database_url="sqlite:///nowhere",
)


class Failure(AssertionError):
    """A seed at which something went wrong. `world` has what led there."""

    def __init__(self, seed: int, what: str, trace: list[str]) -> None:
        super().__init__(f"seed {seed}: {what}\n" + "\n".join(trace[-200:]))
        self.what = what


class World:
    """One run."""

    def __init__(self, seed: int, plan: Plan | None = None, *, redis: bool = True) -> None:
        """`redis`: whether the plan is one of several servers, if none is given."""
        self.seed = seed
        self.random = random.Random(f"world {seed}")
        self.plan = faults.draw(self.random, redis=redis) if plan is None else plan
        self.access = Access(self, SETTINGS.access_check_s)
        if plan is None:
            self.plan.changes.extend(self.access.draw())
        self.clock = Clock(seed)
        self.trace: list[str] = []
        self.histories = Histories()
        self.documents: list[Document] = []
        self.servers: list[Server] = []
        self.people: list[Person] = []
        self.gone: list[Server | Person] = []
        """Kept, so that nothing of them runs."""
        self._tokens = Tokens()
        self._driver = self.clock.machine("world")
        low, high = self.plan.delays_s
        self.network = Network(random.Random(f"network {seed}"), low, high)
        self.database: DatabaseServer
        self.redis: Redis | None = None
        self._names = 0
        self._over = False
        self._agreed_at: float | None = None

    # -- The run ------------------------------------------------------------------------------

    def run(self) -> None:
        """Raises `Failure`."""
        with ExitStack() as stack:
            stack.enter_context(virtual(self.clock, self.seed))
            stack.enter_context(self.histories.watching(self.fail))
            stack.enter_context(self.access.watching())
            stack.enter_context(dialling(self._dial))
            stack.enter_context(_logging(self))
            try:
                self._run()
            except (Broken, Stuck) as error:
                self.fail(str(error))
            failures = tuple(self.clock.failures)
            if failures:
                self.note("world", "PEOPLE: " + "; ".join(each.tell() for each in self.people))
            self._over = True
            self.clock.end()
        if failures:
            raise Failure(self.seed, failures[0], self.trace)

    def digest(self) -> str:
        """Of all that happened."""
        return hashlib.sha1("\n".join(self.trace).encode()).hexdigest()

    def _run(self) -> None:
        plan = self.plan
        self.note("world", repr(plan))
        self._build()
        for at, fault in plan.faults:
            self._driver.call_at(at, self._strike, fault)
        for at in plan.changes:
            self._driver.call_at(at, self.access.change)
        self._look()
        self.clock.run(plan.seconds)
        if self.clock.failures:
            return
        self.note("world", "everything is well again")
        faults.heal(self)
        for person in self.people:
            person.typing = False
        end = self.clock.now + PATIENCE_S
        if not self.clock.run(end, self._at_rest) and not self.clock.failures:
            raise Broken("they do not come to agree")
        if not self.clock.failures:
            self._check_end()

    def _strike(self, fault: faults.Fault) -> None:
        self.note("fault", repr(fault))
        fault.strike(self)

    def _look(self) -> None:
        """Time must not jump over the moment at which all agree."""
        self.access.check()
        self._driver.call_later(LOOK_S, self._look)

    def note(self, who: str, what: str) -> None:
        if self._over:
            return
        self.trace.append(f"{self.clock.now:9.4f} {who:>9} {what}")

    def fail(self, what: str) -> None:
        if self._over:
            return
        self.note("FAILURE", what)
        self.clock.failures.append(what)

    # -- What there is ------------------------------------------------------------------------

    def _build(self) -> None:
        plan = self.plan
        machine = self.clock.machine("database")
        self.database = DatabaseServer(machine, random.Random(f"database {self.seed}"))
        self.database.usual_s = self.database.slow_s = plan.database_s
        for number in range(plan.documents):
            document_id = f"d{number}"
            first = history.first_segment(document_id, "", OWNER.id, 1)
            create = partial(
                documents.create,
                document_id=document_id,
                title="Notes",
                first=first,
                owner=OWNER,
                at=1,
                anyone=Role.EDITOR,
            )
            self.database.tables.transaction(create)
            self.documents.append(Document(document_id, self.histories))
        if plan.redis:
            self.database.late_commits = True
            self.redis = Redis(
                self.clock.machine("redis"), random.Random(f"redis {self.seed}"), self._logged
            )
        for _ in range(plan.servers):
            self.add_server()
        for number in range(plan.people):
            self.add_person(self.documents[number % len(self.documents)])

    def add_server(self) -> None:
        self._names += 1
        machine = self.clock.machine(f"server{self._names}")
        wrong_by_s = self.random.uniform(-1, 1) * self.plan.wrong_by_s
        links = None
        if self.redis is not None:
            rng = random.Random(f"{machine.name} {self.seed}")
            links = SimulatedLinks(machine, self.network, self.redis, rng, wrong_by_s)
        server = Server(machine, SETTINGS, self.database, links, wrong_by_s, self.fail)
        self.servers.append(server)
        server.start()
        self.note(machine.name, "starts")

    def fill_up(self) -> None:
        """As many servers as there should be."""
        while len(self.servers) < self.plan.servers:
            self.add_server()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self._driver.call_later(seconds, what)

    def kill(self, server: Server) -> None:
        """Nothing of it is left but what others heard."""
        self.servers.remove(server)
        self.gone.append(server)
        server.machine.kill()
        self.network.lost(server.machine)
        self._excuse()
        self.note(server.machine.name, "is dead")

    def stop(self, server: Server) -> None:
        """Called on its machine: tell it to go; another one takes its place."""

        async def stop() -> None:
            if server not in self.servers:
                return
            self.servers.remove(server)
            self.gone.append(server)
            self.note(server.machine.name, "goes")
            self._driver.call_soon(self.fill_up)
            await server.stop()
            self.note(server.machine.name, "is gone")
            server.machine.kill()
            self.network.lost(server.machine)
            if not faults.STOPS_LOSE_NOTHING:
                self._excuse()

        server.machine.create_task(stop(), name="stop")

    def restart_redis(self, lost_s: float | None, down_s: float) -> None:
        redis = self.redis
        if redis is None or redis.down:
            return
        redis.stop()
        self.network.lost(redis.machine)

        self.later(down_s, lambda: self.start_redis(lost_s))

    def start_redis(self, lost_s: float | None) -> None:
        redis = self.redis
        if redis is None or not redis.down:
            return
        redis.restart(lost_s)
        self.note("redis", f"is {redis.run_id} now")
        for document in self.documents:
            document.may_part = True
        self._excuse()

    def _excuse(self) -> None:
        """What was shown, or soon is, and nobody has any more: nothing could have kept it."""
        if self.redis is None or self.redis.down:
            return
        for document in self.documents:
            for push, node in document.ever_shown.items():
                if push not in document.excused and not self._is_kept(document, node):
                    self.note("world", f"nobody has {push} at {node.last} any more")
                    document.excused.add(push)
            # What is on its way to somebody is shown when it is lost already.
            document.gone = {
                mark
                for mark in document.logged
                if (made := self.histories.find(mark)) and not self._is_kept(document, made)
            }

    def _is_kept(self, document: Document, node: Node) -> bool:
        """Whether anybody has it: the log, the database, or a server that lives."""
        document.saved.look()
        if document.saved.has(node):
            return True
        rooms = [room for server in self.servers if (room := server.room(document.id))]
        if any(room.mark_at(node.last) == node.mark for room in rooms):
            return True
        assert self.redis is not None
        log = self.redis.store.stream(b"collab:{%s}:log" % document.id.encode())
        return any(fields[1].decode() == node.mark for _, fields in log)

    def add_person(self, document: Document) -> None:
        self._names += 1
        name = f"p{self._names}"
        machine = self.clock.machine(name)
        person = Person(
            name, machine, document, self.histories, self._tokens, self.access, self.note, self.fail
        )
        person.pace_s = self.random.choice([0.7, 1.5, 4.0])
        self.people.append(person)
        machine.call_soon(person.start)

    def sent_away(self, person: Person) -> None:
        """Who was removed, and knows it by now."""
        if person in self.people:
            self.remove_person(person)

    def remove_person(self, person: Person) -> None:
        self.people.remove(person)
        self.gone.append(person)
        person.leave()
        self.network.lost(person.machine)

    async def _dial(self, name: str, request: Request) -> ClientSocket:
        person = next(person for person in self.people if person.name == name)
        if not self.servers:
            raise ConnectionRefusedError("no server")
        server = self.random.choice(self.servers)
        end, there = self.network.connect(person.machine, server.machine)
        server.accept(there)
        return await person.dial(end, request)

    def _logged(self, keys: list[bytes], arguments: list[bytes], reply: Any) -> None:
        """Redis did something."""
        document = next(each for each in self.documents if each.id.encode() in keys[4])
        operation = arguments[0].decode()
        if operation == "append" and reply[0] == b"ordered":
            document.logged.add(reply[3].decode())
        if operation == "restore" and reply[0] == b"restored":
            document.logged.update(mark.decode() for mark in arguments[9::3])
        if operation not in {"lead", "tell"}:
            told = " ".join(part.decode(errors="replace")[:40] for part in arguments[1:7])
            self.note("redis", f"{document.id} {operation} {told} -> {_brief(reply)}")

    # -- The end ------------------------------------------------------------------------------

    def _at_rest(self) -> bool:
        if not self._agreed():
            self._agreed_at = None
            return False
        if self._agreed_at is None:
            self._agreed_at = self.clock.now
        return self.clock.now >= self._agreed_at + REST_S

    def _agreed(self) -> bool:
        if not self.access.settled:
            return False
        for document in self.documents:
            people = [person for person in self.people if person.document is document]
            if not all(person.at_rest for person in people):
                return False
            document.saved.look()
            if any(
                (each.connection.replica.revision, each.connection.replica.mark)
                != (document.saved.revision, document.saved.mark)
                for each in people
            ):
                return False
            rooms = [server.room(document.id) for server in self.servers]
            if any(
                room is not None
                and (room.saved_revision, room.mark) != (room.revision, document.saved.mark)
                for room in rooms
            ):
                return False
            # What nobody has open is swept up in the end.
            if self._logged_revision(document) > document.saved.revision:
                return False
            # What a server had alone is ordered again, as soon as its writer is done with it.
            if any(server.is_adrift(document.id) for server in self.servers):
                return False
        return True

    def _logged_revision(self, document: Document) -> int:
        """How far its log in Redis reaches. Behind the database, it is mended when it is opened."""
        if self.redis is None:
            return 0
        entries = self.redis.store.stream(b"collab:{%s}:log" % document.id.encode())
        return entries[-1][0][1] if entries else 0

    def _check_end(self) -> None:
        for document in self.documents:
            people = [person for person in self.people if person.document is document]
            for person in people:
                person.check()
            texts = {person.text for person in people}
            if len(texts) > 1:
                raise Broken("people see different texts")
            text = self.database.text(document.id)
            if texts and texts != {text}:
                raise Broken("the database has another text than people see")
            document.check_end(text)


def _brief(reply: Any) -> str:
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")[:12]
    if isinstance(reply, list):
        return "[" + " ".join(_brief(part) for part in reply[:6]) + "]"
    return str(reply)


@contextmanager
def _logging(world: World) -> Iterator[None]:
    """What servers log goes into the trace; a room that fails is a failure."""

    def note(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
        what = " ".join(f"{name}={value}" for name, value in event.items())
        world.note("log", f"{level}: {what}")
        if "a room failed" in event["event"]:
            world.fail(f"a room failed: {event.get('exc_info')!r}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
