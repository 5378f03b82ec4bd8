"""The modelled Redis answers as a real one does."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.redis import SCRIPT, Store, script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.redis import RedisServer

STEPS = 300
PARTS = ("log", "state", "offers", "lease")
KEYS = [b"collab:{d}:%s" % part.encode() for part in PARTS] + [b"collab:{d}"]
TIMED = {"offer", "lead"}
"""Operations whose answers hold times."""


class NeverTrims(random.Random):
    """As a real one does with short streams when it may trim about as much as is asked for."""

    def randint(self, a: int, b: int) -> int:
        return a


class Both:
    """The same calls to the real one and to the model, and the same answers."""

    def __init__(self, redis: RedisServer) -> None:
        self._real = redis
        self._store = Store(NeverTrims())
        self._source = SCRIPT.read_text()

    def do(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        real: list[Any] = self._real.execute("EVAL", self._source, 5, *KEYS, operation, *arguments)
        self._store.begin(int(time.time() * 1000))
        written = [
            part if isinstance(part, bytes) else str(part).encode()
            for part in (operation, *arguments)
        ]
        modelled = script().run(self._store, KEYS, written)
        assert isinstance(modelled, list)
        if operation in TIMED:  # how many milliseconds are left is another at each look
            assert [type(part) for part in modelled] == [type(part) for part in real]
            assert modelled[:1] == real[:1]
        else:
            assert modelled == real
        return real

    def check(self) -> None:
        """They hold the same."""
        keys = self._store.keys()
        assert keys == sorted(self._real.execute("KEYS", "*"))
        for key in keys:
            assert (self._store.do_ttl(key) < 0) == (self._real.execute("TTL", key) < 0)
        held = [
            (b"%d-%d" % at, dict(zip(fields[::2], fields[1::2], strict=True)))
            for at, fields in self._store.stream(b"collab:{d}:log")
        ]
        assert held == self._real.execute("XRANGE", KEYS[0], "-", "+")
        state = self._store.do_hgetall(KEYS[1])
        assert dict(zip(state[::2], state[1::2], strict=True)) == self._real.execute(
            "HGETALL", KEYS[1]
        )


def calls(rng: random.Random, both: Both) -> Iterator[None]:
    """Random ones, that mostly make sense where the stream ends."""
    for number in range(STEPS):
        _, saved, end, mark, _, _ = both.do("read", 0, "", 3)
        if rng.random() < 0.1:
            end, mark = rng.choice([(b"", b""), (b"3", b"x"), (end, b"x")])
        run, at = f"run{rng.randint(0, 1)}", int(end or 0)
        push = f"push {number}"
        match rng.choice(
            ["append"] * 8
            + ["read", "offer", "restore", "saved", "rest", "lead", "yield", "forsaken", "remove"]
            + ["access"]
        ):
            case "append":
                both.do("append", run, at, mark, rng.randint(1, 5), push)
            case "read":
                both.do("read", max(at - rng.randint(0, 3), 0), mark, rng.randint(1, 5))
            case "offer":
                both.do("offer", run, rng.choice("ab"), at, 60_000, 1_000)
            case "restore":
                how = rng.choice(["replace", "extend"])
                begin = at if how == "extend" else rng.randint(0, 9)
                more: list[str | int] = (
                    [begin + 2, f"mark {number}", push] if rng.random() < 0.5 else []
                )
                whole = rng.randint(0, 1)
                both.do("restore", run, how, end, mark, begin, mark or b"m", whole, *more)
            case "saved":
                both.do("saved", max(at - rng.randint(0, 2), int(saved or 0), 0), mark, 2)
            case "lead" | "yield" as operation:
                ttl = [3_000] if operation == "lead" else []
                both.do(operation, rng.choice("ab"), *ttl)
            case "remove" if rng.random() < 0.7:
                pass
            case operation:
                both.do(operation)
        yield


@pytest.mark.parametrize("seed", range(5))
def test_every_operation_of_the_log_does_the_same(redis: RedisServer, seed: int) -> None:
    both = Both(redis)
    for _ in calls(random.Random(seed), both):
        both.check()
