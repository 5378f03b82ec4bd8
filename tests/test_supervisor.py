"""Several workers on one port: they are kept running, replaced, and ended, and none is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

TIMEOUT_S = 30
NO_LIMIT_S = 1_000.0


class Site:
    """A supervisor of workers as `tests/supervised.py` has them."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.port = 0
        self._folder = folder

    async def ask(self) -> int:
        """The process ID of the worker that answers. Raises OSError if none does."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return int(await reader.readline())
        finally:
            writer.close()

    def notes(self) -> list[tuple[int, str]]:
        """What happened to which worker, in order."""
        try:
            lines = (self._folder / "notes").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(int(pid), what) for pid, what in map(str.split, lines)]

    def noted(self, what: str) -> list[int]:
        """The workers that it happened to, in order."""
        return [pid for pid, happened in self.notes() if happened == what]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that is seen in the notes, or of processes."""
        async with asyncio.timeout(TIMEOUT_S):
            while not true():  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)

    async def serving(self, workers: int, but: set[int] | None = None) -> set[int]:
        """Wait until so many have answered, others than `but`."""
        seen: set[int] = set()
        async with asyncio.timeout(TIMEOUT_S):
            while len(seen) < workers:
                seen |= set(await asyncio.gather(*(self.ask() for _ in range(10)))) - (but or set())
        return seen

    async def logged(self, what: str) -> None:
        """Wait until a line of the log says so."""
        assert self.process.stderr is not None
        async with asyncio.timeout(TIMEOUT_S):
            while what not in (line := (await self.process.stderr.readline()).decode()):
                assert line, "the log ended"

    def change(self, how: str) -> None:
        """What the workers do that start from now on."""
        (self._folder / how).touch()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str, str]:
        """The supervisor's exit code, and what it and its workers wrote after the first line."""
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    def left(self) -> list[int]:
        """The workers that still live."""
        return [pid for pid in self.noted("began") if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def starting(
    folder: Path, workers: int = 2, patience_s: float = NO_LIMIT_S
) -> AsyncIterator[Site]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "tests.supervised", "supervisor"),
        *(str(folder), str(workers), str(patience_s)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    site = Site(process, folder)
    try:
        yield site
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        for pid in site.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await site.ended()


@asynccontextmanager
async def running(
    folder: Path, workers: int = 2, patience_s: float = NO_LIMIT_S
) -> AsyncIterator[Site]:
    async with starting(folder, workers, patience_s) as site:
        assert site.process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            said = (await site.process.stdout.readline()).decode()
        assert said.startswith("Listening on 127.0.0.1 "), said
        site.port = int(said.split()[-1])
        yield site


async def test_workers_share_a_port_and_one_of_them_tells_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, workers=3) as site:
        await site.serving(3)
        site.signal(signal.SIGTERM)
        code, out, _ = await site.ended()
        assert (code, out) == (0, "")


async def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        former = await site.serving(2)
        for each in former:
            os.kill(each, signal.SIGKILL)
        await site.serving(2, but=former)
        assert len(site.noted("began")) == 4


async def test_what_keeps_workers_from_starting_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    async with starting(tmp_path) as site:
        assert await site.ended() == (7, "", "what is wrong\n")
        assert len(site.noted("began")) == 1


async def test_a_worker_that_dies_again_and_again_does_not_end_the_others(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        victim, other = await site.serving(2)
        site.change("broken")
        os.kill(victim, signal.SIGKILL)
        await site.until(lambda: len(site.noted("began")) == 4)
        assert await site.ask() == other
        (tmp_path / "broken").unlink()
        await site.serving(1, but={victim, other})


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_all_workers_end_in_order_when_the_supervisor_is_told_to(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with running(tmp_path, workers=3) as site:
        workers = await site.serving(3)
        site.signal(how)
        assert (await site.ended())[0] == 0
        assert set(site.noted("SIGTERM")) == set(site.noted("ended")) == workers
        assert not site.left()


async def test_a_worker_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stubborn").touch()
    async with running(tmp_path, patience_s=0.2) as site:
        workers = await site.serving(2)
        site.signal(signal.SIGTERM)
        code, _, err = await site.ended()
        assert code == 0
        assert err.count("does not end and is killed") == 2
        assert set(site.noted("SIGTERM")) == workers
        assert not site.left()


async def test_a_second_signal_tells_the_workers_to_hurry(tmp_path: Path) -> None:
    (tmp_path / "stubborn").touch()
    async with running(tmp_path) as site:
        workers = await site.serving(2)
        site.signal(signal.SIGTERM)
        await site.until(lambda: set(site.noted("SIGTERM")) == workers)
        assert not site.noted("SIGINT")
        site.signal(signal.SIGTERM)
        await site.until(lambda: set(site.noted("SIGINT")) == workers)


async def test_a_supervisor_that_is_told_to_stop_while_it_starts_ends(tmp_path: Path) -> None:
    async with starting(tmp_path) as site:
        await site.until(lambda: bool(site.noted("began")))
        site.signal(signal.SIGTERM)
        assert (await site.ended())[0] == 0
        assert not site.left()


async def test_a_rolling_restart_replaces_all_and_every_client_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path, workers=3) as site:
        former = await site.serving(3)

        async def keep_asking() -> set[int]:
            answered = set()
            while len(site.noted("ended")) < 3:
                answered.add(await site.ask())
            return answered

        clients = [asyncio.create_task(keep_asking(), name="client") for _ in range(5)]
        site.signal(signal.SIGHUP)
        async with asyncio.timeout(TIMEOUT_S):
            answered = set().union(*await asyncio.gather(*clients))
        assert answered <= set(site.noted("began"))
        assert set(site.noted("ended")) == former
        happened = [what for _, what in site.notes()]
        assert happened[6:] == ["began", "serves", "SIGTERM", "ended"] * 3
        await site.serving(3, but=former)


async def test_a_rolling_restart_to_a_worker_that_does_not_start_keeps_the_others(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as site:
        former = await site.serving(2)
        site.change("broken")
        site.signal(signal.SIGHUP)
        await site.logged("a new worker did not start; the others stay")
        assert len(site.noted("began")) == 3
        assert await site.serving(2) == former
        assert not site.noted("SIGTERM")


async def test_workers_end_by_themselves_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        workers = await site.serving(2)
        site.process.kill()
        await site.until(lambda: set(site.noted("ended")) == workers)
        assert not site.noted("SIGTERM")
