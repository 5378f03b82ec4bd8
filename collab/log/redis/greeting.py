"""Connecting to a Redis, and asking whether it is one that can keep the order."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple

from hiredis import ReplyError

from collab.errors import Misconfigured
from collab.log.redis.link import FateUnknown

if TYPE_CHECKING:
    from collab.log.redis.address import Address
    from collab.log.redis.connection import Connection

MIN_VERSION = 7

RUN_LETTERS = 20
"""Of each of the two names that make a run: 80 random bits."""

_PASSING = {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "MISCONF", "ERR max number of clients"}
"""How refusals begin that do not last."""


class NoRedis(Exception):
    """There is none to be reached now; there may be one later."""


class Greeting(NamedTuple):
    """What a Redis says of itself.

    `run` is another one whenever it was started anew, or became the primary; `time_s` is seconds
    since 1970 by its clock. Where it `evicts`, it throws documents away when its memory is full.
    """

    run: str
    primary: bool
    clustered: bool
    evicts: bool
    time_s: float


async def greet(
    address: Address, connection: Connection, limit_s: float, script: str | None = None
) -> Greeting:
    """Connect, and load the script. Raises `NoRedis`, or `Misconfigured` if later is no better."""
    try:
        return await _greet(address, connection, limit_s, script)
    except BaseException:
        connection.drop("not greeted")
        raise


async def _greet(
    address: Address, connection: Connection, limit_s: float, script: str | None
) -> Greeting:
    try:
        async with asyncio.timeout(limit_s):
            await address.open(lambda: connection)
            return await _hello(address, connection, script)
    except ReplyError as error:
        raise _refusal(address, str(error)) from None
    except TimeoutError:
        raise NoRedis("no answer in time") from None
    except (OSError, FateUnknown) as error:
        raise NoRedis(str(error) or type(error).__name__) from error


async def _hello(address: Address, connection: Connection, script: str | None) -> Greeting:
    """In one round trip."""
    hello: tuple[str | int, ...] = ("HELLO", 3)
    if address.password is not None:
        hello += ("AUTH", address.user, address.password)
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    load = () if script is None else (("SCRIPT", "LOAD", script),)
    about, _, info, clock, *_ = await connection.ask(
        (*hello, "SETNAME", "collab"),
        ("SELECT", address.database),
        ("INFO", "server", "memory", "replication"),
        ("TIME",),
        *load,
    )
    version = about[b"version"].decode()
    if int(version.partition(".")[0]) < MIN_VERSION:
        raise _too_old(address, version)
    run = re.search(rb"^run_id:(\w+)", info, re.MULTILINE)
    followed = re.search(rb"^master_replid:(\w+)", info, re.MULTILINE)
    policy = re.search(rb"^maxmemory_policy:([\w-]+)", info, re.MULTILINE)
    if run is None:
        raise Misconfigured(f"the Redis at {address.name} does not tell its run_id")
    return Greeting(
        # One process may lose its part in a cluster and have it back, with another's data.
        f"{run[1].decode()[:RUN_LETTERS]}{followed[1].decode()[:RUN_LETTERS] if followed else ''}",
        primary=about[b"role"] == b"master",
        clustered=about[b"mode"] == b"cluster",
        time_s=int(clock[0]) + int(clock[1]) / 1_000_000 + (loop.time() - asked_at) / 2,
        evicts=policy is not None and policy[1].startswith(b"allkeys"),
    )


def _refusal(address: Address, text: str) -> NoRedis | Misconfigured:
    if text.startswith(tuple(_PASSING)):
        return NoRedis(text)
    if "unknown command" in text:
        return _too_old(address, "of a version before 6")  # the text repeats the password
    return Misconfigured(f"the Redis at {address.name} refuses this server: {text}")


def _too_old(address: Address, version: str) -> Misconfigured:
    return Misconfigured(
        f"the Redis at {address.name} is {version}; {MIN_VERSION}.0 or later is needed"
    )
