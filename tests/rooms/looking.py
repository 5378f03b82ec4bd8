"""A database that says who may do what, as a test wants it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collab.access.roles import Role, Standing
from collab.rooms.access import Found

if TYPE_CHECKING:
    from collections.abc import Collection


class Access:
    """Everybody is an editor, but whom it says otherwise of."""

    def __init__(self) -> None:
        self.version: int | None = 0
        self.standings: dict[str, Standing] = {}
        self.now = 1_000
        self.looks: list[set[str]] = []
        self.error: Exception | None = None
        self.answering = asyncio.Event()
        """Cleared, nobody hears what was found until it is set."""
        self.answering.set()

    def now_ms(self) -> int:
        return self.now

    def change(self, user_id: str, role: Role | None, until: int | None = None) -> None:
        """As one transaction does it."""
        assert self.version is not None
        self.version += 1
        self.standings[user_id] = Standing(role, until)

    async def look(self, document_id: str, user_ids: Collection[str]) -> Found:
        self.looks.append(set(user_ids))
        if self.error is not None:
            raise self.error
        found = Found(self.version, {user_id: self._of(user_id) for user_id in user_ids})
        await self.answering.wait()
        return found

    async def look_in_turn(self, document_id: str, user_ids: Collection[str]) -> Found:
        return await self.look(document_id, user_ids)

    def _of(self, user_id: str) -> Standing:
        standing = self.standings.get(user_id, Standing(Role.EDITOR))
        if standing.until is not None and standing.until <= self.now:
            return Standing(None)
        return standing
