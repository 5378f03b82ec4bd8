"""Several workers on one port, and the process that keeps them running.

The supervisor binds the port and passes it on; whichever worker is free takes a connection. A
worker says that it serves by a line on its standard output. Its standard input is a pipe that
nobody writes to: when that closes the supervisor is gone, and the worker ends by itself.

    SIGTERM, SIGINT     end all workers in order; a second one: wait for no connection any longer
    SIGHUP              a rolling restart: one worker after the other
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from collab.backoff import Backoff

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

log = structlog.get_logger(__name__)

STEADY_S = 10.0
"""Who lived for so long is replaced at once when it dies, and others after a pause that grows."""


class Worker:
    """A process that serves."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._born = asyncio.get_running_loop().time()

    @classmethod
    async def start(cls, command: Sequence[str], sockets: Sequence[int]) -> Worker:
        """In a session of its own: Ctrl+C on the terminal is for the supervisor to pass on."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=sockets,
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def age_s(self) -> float:
        return asyncio.get_running_loop().time() - self._born

    async def serves(self) -> str:
        """Wait until it serves. Returns what it says then; nothing if it ended before.

        There is no limit: a migration may take long, and all else that a start waits for has one.
        """
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().rstrip()

    async def ended(self) -> int:
        """Wait for its end. Returns the exit code: 128 and the signal's number if one killed it."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    def send(self, number: signal.Signals) -> None:
        if self.alive:
            self._process.send_signal(number)

    async def stop(self, patience_s: float) -> None:
        """Ask it to end, and kill it if it has not in time."""
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience_s):
                await self.ended()
        except TimeoutError:
            log.error("a worker does not end and is killed", pid=self.pid)  # noqa: TRY400
            self.send(signal.SIGKILL)
            await self.ended()


class Supervisor:
    """Keeps `count` workers running: processes of `command`, which is given to understand by its
    arguments that it serves on the inherited `sockets`.

    One that is told to stop has `patience_s` to end.
    """

    def __init__(
        self, command: Sequence[str], sockets: Sequence[int], count: int, patience_s: float
    ) -> None:
        self._command = command
        self._sockets = sockets
        self._count = count
        self._patience_s = patience_s
        self._places: list[Worker] = []
        self._living: set[Worker] = set()  # also those that come into a place, or have left one
        self._restart = asyncio.Event()
        self._stopping = False

    async def run(self) -> int:
        """Until a signal ends it. Returns the exit code.

        The first worker goes ahead: what keeps it from starting, it tells once, and its exit code
        is ours. It has also brought the database up to date when the others start.
        """
        loop = asyncio.get_running_loop()
        supervising = loop.create_task(self._supervise(), name="supervisor")

        def stop() -> None:
            if self._stopping:
                for worker in self._living:
                    worker.send(signal.SIGINT)
            self._stopping = True
            supervising.cancel()

        loop.add_signal_handler(signal.SIGTERM, stop)
        loop.add_signal_handler(signal.SIGINT, stop)
        loop.add_signal_handler(signal.SIGHUP, self._restart.set)
        try:
            await asyncio.wait([supervising])
        finally:
            supervising.cancel()
            await asyncio.gather(*(each.stop(self._patience_s) for each in self._living))
        return 0 if supervising.cancelled() else supervising.result()

    async def _supervise(self) -> int:
        first = await self._start()
        said = await first.serves()
        if not said:
            return await first.ended()
        print(said, flush=True)  # noqa: T201 - as one server does
        self._places = [first, *[await self._start() for _ in range(1, self._count)]]
        async with asyncio.TaskGroup() as tasks:
            for place in range(self._count):
                tasks.create_task(self._keep(place), name="keeper")
            while True:
                await self._restart.wait()
                self._restart.clear()
                await self._roll()

    async def _start(self) -> Worker:
        worker = await Worker.start(self._command, self._sockets)
        self._living = {worker, *(each for each in self._living if each.alive)}
        return worker

    async def _keep(self, place: int) -> None:
        """Start a worker anew whenever the one in this place has died."""
        backoff = Backoff()
        while True:
            worker = self._places[place]
            code = await worker.ended()
            if self._places[place] is not worker:
                continue  # it was replaced
            log.warning("a worker ended and is started again", pid=worker.pid, code=code)
            if worker.age_s >= STEADY_S:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())
            successor = await self._start()
            if self._places[place] is worker:
                self._places[place] = successor
            else:  # a rolling restart was faster
                await successor.stop(self._patience_s)

    async def _roll(self) -> None:
        """Replace one worker after the other, each when its successor serves.

        If one does not start, the workers that are left stay: a mistake in a new version or in its
        settings stops nobody.
        """
        log.info("a rolling restart begins")
        for place in range(self._count):
            successor = await self._start()
            if not await successor.serves():
                code = await successor.ended()
                log.error("a new worker did not start; the others stay", code=code)
                return
            former, self._places[place] = self._places[place], successor
            await former.stop(self._patience_s)
        log.info("the rolling restart is done")
