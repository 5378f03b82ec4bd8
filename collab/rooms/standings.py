"""What everybody in a room may do: as the database had it, and as it has it by now (X2).

Whoever comes in brings the standing that they were let in with. It is looked at again when the room
hears that access has changed, when the database has another version of it than somebody's standing
is of, and when somebody's time is over. As long as the database does not answer, the last that was
known holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.access.roles import NONE, Standing, claimed
from collab.backoff import Backoff
from collab.errors import NotFound, NotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from collab.access.tokens import Identity
    from collab.rooms.access import Found
    from collab.rooms.containment import Containment

log = structlog.get_logger(__name__)

PAUSE_S = 0.05
"""Between two looks, however often access changes."""

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 2.0

REMEMBERED = 1_000
"""Of so many people who were in a room it is known what they may do."""

LOOKED_S = 1.0

LATE_S = 0.01
"""How long after somebody's time is over it is looked at: it must be over by any clock."""


class Holder(Protocol):
    """Somebody in a room whose standing may change: a session, or who reads a stream."""

    @property
    def user_id(self) -> str: ...

    @property
    def claims(self) -> bool:
        """Whether their token says what they may do: then the database is not asked."""

    def role_changed(self, standing: Standing) -> None:
        """What they may do from now on; perhaps the same as before."""


class Access(Protocol):
    """Where the room looks: `rooms.access.Access`."""

    def now_ms(self) -> int: ...

    async def look(self, document_id: str, user_ids: Collection[str]) -> Found: ...

    async def look_in_turn(self, document_id: str, user_ids: Collection[str]) -> Found: ...


class Seen(NamedTuple):
    """A standing, and the version of the document's access that it was seen in; None where a token
    says what it is.
    """

    standing: Standing
    version: int | None


class Standings:
    """Of everybody in one room. `on_gone` is told that there is no such document any more."""

    def __init__(
        self,
        document_id: str,
        access: Access,
        containment: Containment,
        on_gone: Callable[[], None],
    ) -> None:
        self._document_id = document_id
        self._access = access
        self._contained = containment
        self._on_gone = on_gone
        self._holders: dict[Holder, Seen] = {}
        self._met: dict[str, Seen] = {}  # by user, of those who are here or were
        self._version: int | None = None  # that was seen last
        self._wanted = False
        self._looking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ends_at = 0
        self._closed = False

    def __len__(self) -> int:
        """How many people's standings are known."""
        return len(self._met)

    async def of(self, identity: Identity) -> Seen:
        """Somebody's standing, looked at while the room is open: it hears of whatever changes from
        here on. Raises `NotFound` for who has none, and `NotReady`.
        """
        claim = claimed(identity.roles, self._document_id)
        if claim is not None:
            return Seen(Standing(claim), None)
        try:
            found = await self._access.look(self._document_id, [identity.user_id])
        except (SQLAlchemyError, OSError) as error:
            raise NotReady("the database does not answer", retry_after_ms=1_000) from error
        standing = found.standings.get(identity.user_id, NONE)
        if standing.role is None:
            raise NotFound("there is no such document")
        return Seen(standing, found.version)

    def recall(self, identity: Identity) -> Seen | None:
        """What somebody may do who is here or was, for while the database does not answer; None if
        that is not known, or may have changed.
        """
        seen = self._met.get(identity.user_id)
        if seen is None or self._closed or self._looking is not None:
            return None
        claim = claimed(identity.roles, self._document_id)
        if claim is not None:
            return Seen(Standing(claim), None)
        if seen.version is None or seen.version != self._version:
            return None
        return None if self._is_over(seen.standing.until) else seen

    def join(self, holder: Holder, seen: Seen) -> None:
        """They were let in by what was seen a moment ago, and hear of what changed since."""
        if self._closed:
            return
        self._holders[holder] = seen
        self._meet(holder.user_id, seen)
        if self._version is None:
            self._version = seen.version
        if seen.version not in {None, self._version}:
            self.look()
        ends_at = seen.standing.until
        if ends_at is not None and (self._timer is None or ends_at < self._timer_ends_at):
            self._wake_at(ends_at)

    def _meet(self, user_id: str, seen: Seen) -> None:
        self._met.pop(user_id, None)
        self._met[user_id] = seen
        if len(self._met) > REMEMBERED:
            del self._met[next(iter(self._met))]

    def leave(self, holder: Holder) -> None:
        self._holders.pop(holder, None)

    def compare(self, version: int) -> None:
        """Look again if this version, the database's, is another than the one seen last."""
        if version != self._version or self._is_over(self._ends_at()):
            self.look()

    def look(self) -> None:
        """Something has changed. Of many changes at once, the last is seen."""
        self._wanted = True
        if self._looking is None and not self._closed:
            self._looking = asyncio.create_task(self._keep_looking(), name="standings")

    async def looked(self) -> None:
        """Return when what has changed before is known here; or after a while, if it cannot be."""
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=LOOKED_S)

    async def _keep_looking(self) -> None:
        backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S)
        try:
            with self._contained:
                while self._wanted:
                    self._wanted = False
                    try:
                        await self._look_once()
                    except (SQLAlchemyError, OSError) as error:
                        log.warning("cannot look who may do what", error=type(error).__name__)
                        self._wanted = True
                        await asyncio.sleep(backoff.next_s())
                    else:
                        await asyncio.sleep(PAUSE_S)
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        asked = [holder for holder in self._holders if not holder.claims]
        user_ids = {holder.user_id for holder in asked}
        self._take(asked, await self._access.look_in_turn(self._document_id, user_ids))

    def _take(self, asked: list[Holder], found: Found) -> None:
        if found.version is None:
            self._on_gone()
            return
        self._version = found.version
        # Of those who were here and are not asked for, only tokens still say what they may do.
        self._met = {user: seen for user, seen in self._met.items() if seen.version is None}
        for holder in asked:
            if holder in self._holders and not holder.claims:
                standing = found.standings[holder.user_id]
                self._holders[holder] = seen = Seen(standing, found.version)
                if standing.role is not None:
                    self._meet(holder.user_id, seen)
                holder.role_changed(standing)
        # Who came meanwhile may have been let in by what was before.
        if any(seen.version not in {None, found.version} for seen in self._holders.values()):
            self._wanted = True
        self._wake_at(self._ends_at())

    # -- Standings that end -------------------------------------------------------------------

    def _ends_at(self) -> int | None:
        """When the next one's time is over, in ms since 1970."""
        ends = (
            seen.standing.until
            for holder, seen in self._holders.items()
            if seen.standing.until is not None and not holder.claims
        )
        return min(ends, default=None)

    def _is_over(self, ends_at: int | None) -> bool:
        return ends_at is not None and ends_at <= self._access.now_ms()

    def _wake_at(self, ends_at: int | None) -> None:
        """Have one timer, for the first that ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if ends_at is not None and not self._closed:
            left_s = max(ends_at - self._access.now_ms(), 0) / 1000 + LATE_S
            self._timer = asyncio.get_running_loop().call_later(left_s, self._time_passed)
            self._timer_ends_at = ends_at

    def _time_passed(self) -> None:
        self._timer = None
        ends_at = self._ends_at()
        if self._is_over(ends_at):
            self.look()
        else:
            self._wake_at(ends_at)

    def close(self) -> None:
        self._closed = True
        self._wanted = False
        self._holders.clear()
        self._met.clear()
        self._wake_at(None)
        if self._looking is not None:
            self._looking.cancel()
