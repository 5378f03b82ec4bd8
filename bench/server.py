"""The real server as a process of its own, for benchmarks and for tests that kill it.

async with running(data_dir, COLLAB_PUSHES_PER_SECOND="1000000") as server:
    ...  # server.url
    await server.kill()
    await server.start()  # on the same port and data
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ServerProcess:
    """`collab serve` over a data directory, on one port of the loopback address for all its lives.

    `settings` are environment variables. What it prints goes into `server.log` beside the data.
    """

    def __init__(self, data_dir: Path, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir / "server.log"
        self.command: tuple[str, ...] = (str(Path(sys.executable).parent / "collab"), "serve")
        self._environment = {
            **os.environ,
            "COLLAB_HOST": "127.0.0.1",
            "COLLAB_PORT": str(self.port),
            "COLLAB_DATA_DIR": str(data_dir / "data"),
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._former_cpu_s = 0.0

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises RuntimeError with its log if it is not."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command, env=self._environment, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                # Nothing tells us but the server itself.
                while self._process.returncode is None and not await self.is_ready():  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
        except BaseException:
            await self.kill()
            raise
        if self._process.returncode is not None:
            raise RuntimeError(f"the server ended:\n{self.log_tail()}")

    async def stop(self) -> int:
        """Ask it to end (SIGTERM) and wait. Returns its exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would (SIGKILL). May be called when it has ended."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still where it is (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def is_ready(self) -> bool:
        """Whether it says that it can serve. It may take its time for the answer."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was never started"
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """Processor seconds of all its lives, of the user and of the system."""
        return self._former_cpu_s + self._cpu_s()

    @property
    def peak_rss_bytes(self) -> int:
        """The most memory that this life of it held."""
        return self._memory_bytes("VmHWM")

    @property
    def rss_bytes(self) -> int:
        """The memory that it holds now."""
        return self._memory_bytes("VmRSS")

    @property
    def open_files(self) -> list[str]:
        """What its descriptors are open on: paths, and `socket:[…]` for each socket."""
        files = []
        for descriptor in self._proc("fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                files.append(str(descriptor.readlink()))
        return files

    def log_tail(self) -> str:
        return self.log.read_text()[-2_000:]

    async def _end(self, how: signal.Signals) -> int:
        process = self._process
        assert process is not None, "the server was never started"
        if process.returncode is None:
            self._former_cpu_s += self._cpu_s()
            process.send_signal(how)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            raise

    def _cpu_s(self) -> float:
        if self._process is None or self._process.returncode is not None:
            return 0.0
        after_name = self._proc("stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S

    def _memory_bytes(self, what: str) -> int:
        lines = self._proc("status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))

    def _proc(self, name: str) -> Path:
        return Path("/proc") / str(self.pid) / name


@asynccontextmanager
async def running(data_dir: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    """A server that is ready, and is gone in the end. An error is told with the server's log."""
    server = ServerProcess(data_dir, settings)
    await server.start()
    try:
        yield server
    except Exception as error:
        error.add_note(f"{server.log} ends:\n{server.log_tail()}")
        raise
    finally:
        await server.kill()
