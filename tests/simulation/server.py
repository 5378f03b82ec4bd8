"""One server: what `collab serve` runs, on a machine of its own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from collab.access.tokens import Identity, Tokens
from collab.counts import Counts
from collab.live.arrivals import Arrivals
from collab.live.pace import Pushes
from collab.live.welcomes import Welcomes
from collab.log.local import LocalLog
from collab.log.redis.log import RedisLog
from collab.rooms.access import compare
from collab.rooms.registry import Registry
from collab.rooms.sweep import sweep
from collab.storage.runs import Runs
from collab.storage.upkeep import Upkeep
from collab.storage.writer import Writer
from tests.simulation.database import DatabaseServer, SimulatedDatabase
from tests.simulation.loop import EPOCH_S
from tests.simulation.websocket import Request, ServedConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from collab.rooms.open_room import OpenRoom
    from collab.settings import Settings
    from tests.simulation.links import SimulatedLinks
    from tests.simulation.loop import Machine, Task
    from tests.simulation.network import End


class Trusting(Tokens):
    """Whoever says a name has it."""

    def __init__(self) -> None: ...

    async def verify(self, token: str) -> Identity:
        return Identity(token, token, guest=True, expires_at=2**40, sign_in=token, issued_at=0)

    def over(self, identity: Identity) -> str | None:
        return None


class Server:
    """A server's life, from its start until it is killed or stopped."""

    def __init__(
        self,
        machine: Machine,
        settings: Settings,
        database: DatabaseServer,
        links: SimulatedLinks | None,
        wrong_by_s: float,
        failed: Callable[[str], None],
    ) -> None:
        """`wrong_by_s`: how much its clock goes fast."""
        self.machine = machine
        self.settings = settings
        self.ready = False
        self.registry: Registry
        self._database = SimulatedDatabase(machine, database)
        self.links = links
        self._failed = failed
        self._wrong_by_s = wrong_by_s
        self._app: Any
        self._log: RedisLog | None = None
        self._writer: Writer
        self._writing: Task

    def start(self) -> None:
        self.machine.create_task(self._start(), name="start")

    async def _start(self) -> None:
        settings, counts = self.settings, Counts()
        upkeep = Upkeep(self._database, counts)
        self._writer = Writer(self._database, upkeep, settings.commit_patience_s, counts)
        log: LocalLog | RedisLog = LocalLog()
        if self.links is not None:
            await self.links.start()
            log = self._log = RedisLog(self.links, Runs(self._database), self.machine.name)
        self.registry = Registry(
            settings, self._database, log, self._writer, counts, self.machine.name, self._time
        )
        self._task("upkeep", upkeep.run())
        self._writing = self._task("writer", self._writer.run())
        self._task("registry", self.registry.run())
        self._task("access", compare(self.registry, settings.access_check_s))
        if self._log is not None:
            self._task("sweep", sweep(self.registry, self._log, settings.sweep_s))
        services = SimpleNamespace(
            settings=settings,
            database=self._database,
            tokens=Trusting(),
            registry=self.registry,
            welcomes=Welcomes(settings.max_welcomes, wait_s=settings.open_timeout_s, hold_s=5.0),
            arrivals=Arrivals(settings),
            pushes=Pushes(settings),
            counts=counts,
            now_ms=lambda: int(self._time() * 1000),
        )
        self._app = SimpleNamespace(state=SimpleNamespace(services=services))
        self.ready = True

    def _time(self) -> float:
        return EPOCH_S + self.machine.clock.now + self._wrong_by_s

    def _task(self, name: str, work: Coroutine[Any, Any, None]) -> Task:
        async def watched() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                self._failed(f"the {name} of {self.machine.name} failed: {error!r}")

        return self.machine.create_task(watched(), name=name)

    async def stop(self) -> None:
        """As when it is told to go: say goodbye, and save what was ordered."""
        self.ready = False
        await self.registry.close()
        self._writer.stop()
        await asyncio.wait([self._writing], timeout=self.settings.shutdown_s)
        if self._log is not None:
            await self._log.close()

    def accept(self, end: End) -> None:
        """A connection comes in."""
        end.on_message = lambda request: self._serve(end, request)

    def _serve(self, end: End, request: Request) -> None:
        if not self.ready:
            end.close()
            return
        connection = ServedConnection(end, self._app, self._failed)
        self.machine.create_task(connection.answer(request), name="websocket")

    def room(self, document_id: str) -> OpenRoom | None:
        return self.registry.peek(document_id) if self.ready else None

    def is_adrift(self, document_id: str) -> bool:
        return self.ready and self.registry.is_adrift(document_id)
