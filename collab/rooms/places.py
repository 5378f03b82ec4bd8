"""How many sessions a server has, and may have: in all, of a user, and in a document."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from collab.errors import TooMany

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collab.settings import Limits

RETRY_AFTER_MS = 5_000


class Places:
    """An event stream takes a session's place. `taken` counts them all."""

    def __init__(self, limits: Limits) -> None:
        self.taken = 0
        self._limits = limits
        self._of_users = Counter[str]()
        self._in_documents = Counter[str]()

    @contextmanager
    def place(self, user_id: str, document_id: str) -> Iterator[None]:
        """A place for one more. Raises `TooMany` where there is none."""
        self.take(user_id, document_id)
        try:
            yield
        finally:
            self.give_back(user_id, document_id)

    def take(self, user_id: str, document_id: str) -> None:
        """The same, until it is given back."""
        self._check(user_id, document_id)
        self.taken += 1
        self._of_users[user_id] += 1
        self._in_documents[document_id] += 1

    def give_back(self, user_id: str, document_id: str) -> None:
        self.taken -= 1
        _take_away(self._of_users, user_id)
        _take_away(self._in_documents, document_id)

    def _check(self, user_id: str, document_id: str) -> None:
        limits = self._limits
        full = None
        if self.taken >= limits.max_sessions:
            full = "this server has as many editors as it may"
        elif self._of_users[user_id] >= limits.max_user_sessions:
            full = "this user has as many sessions as one may"
        elif self._in_documents[document_id] >= limits.max_document_sessions:
            full = "this document has as many editors as it may"
        if full is not None:
            raise TooMany(full, retry_after_ms=RETRY_AFTER_MS)


def _take_away(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]  # whoever is gone is not remembered
