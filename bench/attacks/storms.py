"""Attacks by sheer number: pushes, presence, guesses, new users."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

from bench.attacks.scene import Attack, Scene, in_one
from bench.fuzz import grown, units
from tests.live.raw import CLOSE, TEXT, frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.live.raw import Raw

PUSHES = 5_000
MESSAGES = 20_000
MOVING_AT_ONCE = 5
ASKED_AT_ONCE = 10


async def _stormed(
    scene: Scene, storm: Callable[[Raw], Awaitable[str]], most: int | None = None
) -> str:
    """Sessions of one user, all at once."""
    token = await scene.member()
    many = min(scene.size.stormers, most or scene.size.stormers)
    sessions = [await scene.join(token) for _ in range(many)]
    return in_one(await asyncio.gather(*map(storm, sessions)))


async def push_storm(scene: Scene) -> str:
    """Each pushes again as soon as it is answered, and never waits as long as it is told."""
    return await _stormed(scene, partial(_push_on, keep_up=True))


async def pushes_on_an_old_text(scene: Scene) -> str:
    """The same, always on the text of the welcome: each is rebased over more."""
    ends = await _stormed(scene, partial(_push_on, keep_up=False))
    return in_one(end for end in ends.split(", ") if end.startswith(("close", "no")))


async def _push_on(session: Raw, *, keep_up: bool) -> str:
    """The refusals that one is given, and its end."""
    welcome = await session.hear("welcome")
    revision, length = welcome["revision"], units(welcome["text"])
    answers: list[str] = []
    for seq in range(PUSHES):
        change = [length, [0, "!"]] if length else [[0, "!"]]
        push = {"type": "push", "revision": revision, "seq": seq, "updates": [change]}
        session.send_message(push)
        while True:
            opcode, payload = await session.next()
            if opcode == CLOSE:
                return in_one([*answers, f"close {int.from_bytes(payload[:2], 'big')}"])
            message = json.loads(payload)
            if message["type"] == "updates" and keep_up:
                revision = message["revision"] + len(message["updates"]) - 1
                length += sum(grown(change) for _, _, change in message["updates"])
            if message["type"] == "refused":
                answers.append(message["code"])
                break
            own = [welcome["client"], seq]
            if message["type"] == "updates" and own in [each[:2] for each in message["updates"]]:
                break
    return in_one([*answers, "no end"])


async def pushes_that_do_not_wait(scene: Scene) -> str:
    """P2: many are in flight."""

    async def storm(session: Raw) -> str:
        welcome = await session.hear("welcome")
        revision, change = welcome["revision"], [units(welcome["text"]), [0, "!"]]
        for seq in range(1_000):
            push = {"type": "push", "revision": revision, "seq": seq, "updates": [change]}
            session.send_message(push)
        code, _ = await session.closed()
        return f"close {code}"

    return await _stormed(scene, storm)


async def presence_storm(scene: Scene) -> str:
    return await _stormed(scene, _move_on, MOVING_AT_ONCE)


async def _move_on(session: Raw) -> str:
    """Moves its cursor without a pause, and reads nothing before its end."""
    moved = {"type": "presence", "revision": 0, "ranges": [[0, 0]]}
    session.send(frame(TEXT, json.dumps(moved).encode()) * MESSAGES)
    code, _ = await session.closed()
    return f"close {code}"


async def frame_storm(scene: Scene) -> str:
    """Empty parts of a message that never ends, and pings."""

    async def storm(session: Raw) -> str:
        session.send(frame(TEXT, b"", final=False) + frame(0, b"", final=False) * MESSAGES)
        code, _ = await session.closed()
        return f"close {code}"

    return await _stormed(scene, storm)


async def guessed_passwords(scene: Scene) -> str:
    """For one account, and for many from one address."""

    async def guess(username: str, number: int) -> str:
        wrong = {"username": username, "password": f"a wrong guess {number}"}
        return str(await scene.ask("POST", "/v1/auth/login", body=wrong))

    answers = [await guess("ada", number) for number in range(12)]
    return in_one(answers + await _in_parallel(partial(guess, f"ada-{scene.address}"), scene))


async def many_new_users(scene: Scene) -> str:
    """Guests and accounts without end, from one address."""

    async def guest(number: int) -> str:
        return str(await scene.ask("POST", "/v1/auth/guest", body={"name": f"Mallory {number}"}))

    async def account(number: int) -> str:
        new = {"username": f"m-{scene.address}-{number}", "password": "a good password"}
        return str(await scene.ask("POST", "/v1/auth/register", body=new))

    guests, accounts = await _in_parallel(guest, scene), await _in_parallel(account, scene)
    return f"guests {in_one(sorted(guests))}; accounts {in_one(sorted(accounts))}"


async def _in_parallel(ask: Callable[[int], Awaitable[str]], scene: Scene) -> list[str]:
    at_once = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(number: int) -> str:
        async with at_once:
            return await ask(number)

    return await asyncio.gather(*map(one, range(scene.size.guesses)))


ATTACKS = [
    Attack("a push storm", "rate_limited, close 4429", push_storm),
    Attack("pushes on an old text", "close 4429", pushes_on_an_old_text),
    Attack("pushes that do not wait", "close 4400", pushes_that_do_not_wait),
    Attack("presence storms", "close 4429", presence_storm),
    Attack("a storm of empty frames", "close 4429", frame_storm),
    Attack("guessed passwords", "401 unauthorized, 429 rate_limited", guessed_passwords),
    Attack(
        "new users without end",
        "guests 200, 429 rate_limited; accounts 200, 429 rate_limited",
        many_new_users,
    ),
]
