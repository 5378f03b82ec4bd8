"""Revocations: what no token says any more, though it has not expired.

One ends a sign-in, or all sign-ins of a user that began before a time. Every server has all of them
in memory, since they are asked about at every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from collab.access.digest import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collab.access.tokens import Identity

ALWAYS = 2**62
"""Later than any token is issued."""

SLACK_MS = 60_000
"""How much longer one is kept than the tokens that it ends: clocks are not all the same."""

IDS_KEPT = 32_768
"""How many ids are not hashed again: more than a server has sessions, all of which are looked
at whenever anybody signs out.
"""


@dataclass(frozen=True, slots=True)
class Revocation:
    """Ends what was issued before a time. `id` stands for a sign-in or a user, and gives away
    neither. Times are milliseconds since 1970.
    """

    id: str
    issued_before: int
    expires_at: int


def of_sign_in(identity: Identity, now: int, ttl_s: int) -> Revocation:
    """Ends the sign-in of a token, which is valid `now`. Tokens are issued for `ttl_s`."""
    until = max(identity.expires_at * 1000, now + ttl_s * 1000)
    return Revocation(_sign_in_id(identity.sign_in), ALWAYS, until + SLACK_MS)


def of_user(user_id: str, now: int, ttl_s: int) -> Revocation:
    """Ends all sign-ins of a user that began before `now`."""
    return Revocation(_user_id(user_id), now, now + ttl_s * 1000 + SLACK_MS)


class Revocations:
    """Those that this server knows of."""

    def __init__(self) -> None:
        self._known: dict[str, Revocation] = {}

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, revocations: Iterable[Revocation]) -> bool:
        """Returns whether any is new."""
        news = False
        for each in revocations:
            known = self._known.get(each.id)
            if known is None or known.issued_before < each.issued_before:
                self._known[each.id] = each
                news = True
        return news

    def end(self, identity: Identity) -> bool:
        """Whether one of them ends the token that says this."""
        if not self._known:
            return False
        ids = _sign_in_id(identity.sign_in), _user_id(identity.user_id)
        found = (self._known[each] for each in ids if each in self._known)
        return any(identity.issued_at < each.issued_before for each in found)

    def forget_expired(self, now: int) -> None:
        for each in tuple(self._known.values()):
            if each.expires_at <= now:
                del self._known[each.id]


@lru_cache(IDS_KEPT)
def _sign_in_id(sign_in: str) -> str:
    return digest("sign-in", sign_in)


@lru_cache(IDS_KEPT)
def _user_id(user_id: str) -> str:
    return digest("user", user_id)
