"""Passwords are hashed as they should be, and nobody waits for it who need not."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from collab.access.passwords import THREADS, Passwords
from collab.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Iterator

CHEAP = {"memory_kib": 32, "passes": 1}


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(**CHEAP)
    yield made
    made.close()


async def test_a_password_is_known_again_and_no_other_is(passwords: Passwords) -> None:
    hashed = await passwords.hash("correct horse")
    assert await passwords.verify(hashed, "correct horse")
    for other in ("correct hors", "correct horse ", "Correct horse", "", "\ud800"):
        assert not await passwords.verify(hashed, other)


async def test_two_who_have_the_same_password_have_not_the_same_hash(passwords: Passwords) -> None:
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_an_accent_may_be_typed_in_either_way(passwords: Passwords) -> None:
    hashed = await passwords.hash("cafe\u0301 au lait")
    assert await passwords.verify(hashed, "caf\u00e9 au lait")
    assert not await passwords.verify(hashed, "cafe au lait")


async def test_the_parameters_are_those_that_are_recommended() -> None:
    """RFC 9106, the second recommendation of section 4: three passes over 64 MiB."""
    passwords = Passwords()
    parameters = extract_parameters(await passwords.hash("correct horse"))
    passwords.close()
    assert parameters.type == Type.ID
    assert (parameters.memory_cost, parameters.time_cost) == (65_536, 3)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)


async def test_a_hash_of_other_parameters_is_known_to_be_outdated(passwords: Passwords) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=64).hash("correct horse")
    assert await passwords.verify(old, "correct horse")
    assert passwords.outdated(old)
    assert not passwords.outdated(await passwords.hash("correct horse"))


async def test_nobody_s_password_takes_the_same_work_as_somebody_s(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash that it is compared with has the same parameters, and none that a password has."""
    compared: list[str | bytes] = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, hashed: str | bytes, password: str | bytes) -> bool:
        compared.append(hashed)
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    hashed = await passwords.hash("correct horse")
    assert not await passwords.verify(hashed, "wrong")
    assert not await passwords.verify(None, "wrong")
    somebody_s, nobody_s = (extract_parameters(str(each)) for each in compared)
    assert somebody_s == nobody_s


class Slow:
    """Work that goes on until it is let go."""

    def __init__(self, passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun = threading.Semaphore(0)
        self.goes_on = threading.Event()
        monkeypatch.setattr(PasswordHasher, "hash", self._hash)
        self.passwords = passwords

    def _hash(self, _password: bytes) -> str:
        self._begun.release()
        assert self.goes_on.wait(30)
        return "hashed"

    async def begun(self, times: int) -> None:
        for _ in range(times):
            assert await asyncio.to_thread(self._begun.acquire, timeout=30)


async def test_where_too_many_wait_the_next_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the event loop goes on meanwhile: this test runs in it."""
    passwords = Passwords(**CHEAP, max_waiting=3)
    slow = Slow(passwords, monkeypatch)
    async with asyncio.TaskGroup() as tasks:
        hashing = [tasks.create_task(passwords.hash("x")) for _ in range(THREADS + 3)]
        await slow.begun(THREADS)
        for again in range(2):
            with pytest.raises(NotReady) as refused:
                await (passwords.hash("x") if again else passwords.verify(None, "x"))
            assert refused.value.retry_after_ms == 2_000
        slow.goes_on.set()
    assert [task.result() for task in hashing] == ["hashed"] * len(hashing)
    assert await passwords.hash("x") == "hashed"
    passwords.close()


async def test_who_gave_up_waiting_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(**CHEAP, max_waiting=1)
    slow = Slow(passwords, monkeypatch)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(THREADS):
            tasks.create_task(passwords.hash("x"))
        await slow.begun(THREADS)
        waiting = tasks.create_task(passwords.hash("x"))
        await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        await asyncio.wait([waiting])
        another = tasks.create_task(passwords.hash("x"))
        slow.goes_on.set()
    assert another.result() == "hashed"
    passwords.close()
