"""REST calls for measurements: on one connection that stays open, and timed.

The calls block: they run beside an event loop in a thread, one at a time.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import msgspec

from collab.client.errors import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """`took_s` is from the first byte sent until the last one received."""

    body: bytes
    took_s: float

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Rest:
    """Calls as one user."""

    def __init__(self, connection: HTTPConnection, token: str) -> None:
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: str) -> Answer:
        """Raises the Problem that an answer stands for, OSError where there is none."""
        target = f"{path}?{urlencode(query)}" if query else path
        began = perf_counter()
        self._connection.request("GET", target, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took_s = perf_counter() - began
        if answer.status >= 400:
            raise problem(answer.status, body, answer.getheader("Retry-After"))
        return Answer(body, took_s)


@contextmanager
def rest(url: str, token: str) -> Iterator[Rest]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
    try:
        yield Rest(connection, token)
    finally:
        connection.close()
