"""Revocations take effect on every server within a second or so, with Redis or without it: each
reads from the database what is new.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.storage import revocations

if TYPE_CHECKING:
    from collab.access.revocation import Revocation
    from collab.api.services import Services

log = structlog.get_logger(__name__)

EVERY_S = 0.7

OVERLAP_MS = 5 * 60_000
"""How far back each reading goes: servers' clocks are not the same, and commits take a while."""

ALL_EVERY = 1_000
"""How often all of them are read anew and the expired ones forgotten, in readings."""


async def revoke(services: Services, revocation: Revocation) -> None:
    """Take effect here at once, and everywhere soon. It is kept when this returns."""
    at = services.now_ms()
    await services.database.write(lambda connection: revocations.add(connection, revocation, at))
    heard(services, [revocation])


def heard(services: Services, news: list[Revocation]) -> None:
    """These are in the database: end the sessions that they are about."""
    if services.tokens.revocations.learn(news):
        services.registry.check_sessions()


async def read_all(services: Services) -> None:
    """Before anyone is served."""
    await _read(services, since=0)


async def follow(services: Services) -> None:
    """Go on reading. While the database does not answer, what is known holds."""
    readings, answered = 0, True
    while True:
        await asyncio.sleep(EVERY_S)
        readings += 1
        everything = readings % ALL_EVERY == 0
        try:
            await _read(services, 0 if everything else services.now_ms() - OVERLAP_MS)
            answered = True
        except SQLAlchemyError as error:
            if answered:
                log.warning("cannot read revocations", error=type(error).__name__)
            answered = False
        if everything:
            services.tokens.revocations.forget_expired(services.now_ms())


async def _read(services: Services, since: int) -> None:
    now = services.now_ms()
    news = await services.database.look_up(
        lambda connection: revocations.since(connection, since, now)
    )
    heard(services, news)
