"""The editor: what a program types into a document, and sees others type."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from collab.backoff import Backoff
from collab.client.connection import Connection
from collab.client.follower import Follower
from collab.errors import CollabError, DocumentFull, Forbidden, Unavailable
from collab.text import Change

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from collab.client.connection import Token
    from collab.client.errors import Rejected
    from collab.text import Text

MAX_UNCONFIRMED = 100_000
"""Edits that may wait for their order; a program that types faster waits for `confirmed`."""

_MAY_WRITE = {"owner", "editor"}


class Editor:
    """A document that is open. Positions count UTF-16 code units of `text` (T1).

    Edits show in `text` at once and are sent by themselves, also those made while the connection is
    down. An edit that the server refuses for good is taken back, with what was typed on top of it,
    and raised as `Rejected`: by whichever wait it concerns, else by the next edit or wait.
    """

    def __init__(self, url: str, token: Token, backoff: Backoff) -> None:
        self._connection = Connection(
            url, token, backoff, seen=self._on_seen, rejected=self._on_rejected
        )
        self._replica = self._connection.replica
        self._followers: list[Follower] = []
        self._last_rejected: Rejected | None = None
        self._unheard: Rejected | None = None
        self._keeper: asyncio.Task[None] | None = None

    # -- what there is ------------------------------------------------------------------------

    @property
    def text(self) -> Text:
        """What the person sees: the ordered text with everything typed here."""
        return self._replica.text

    @property
    def revision(self) -> int:
        """The last revision that is here."""
        return self._replica.revision

    @property
    def saved_revision(self) -> int:
        """The last revision that is known to be in the database."""
        return self._replica.saved_revision

    @property
    def is_saved(self) -> bool:
        """Whether an editor may show "saved" now (S2)."""
        return self._replica.saved

    @property
    def unconfirmed(self) -> tuple[Change, ...]:
        """The edits whose order is not known yet; the last of them makes `text`."""
        return tuple(self._replica.unconfirmed)

    @property
    def role(self) -> str:
        return self._connection.role

    @property
    def name(self) -> str:
        """The public name of this client, as the others see it."""
        return self._replica.name

    # -- typing -------------------------------------------------------------------------------

    def insert(self, at: int, text: str) -> None:
        self.replace(at, at, text)

    def delete(self, start: int, end: int) -> None:
        self.replace(start, end, "")

    def replace(self, start: int, end: int, text: str) -> None:
        self.change(Change.replace(len(self.text), start, end, text))

    def change(self, change: Change) -> None:
        """Make an edit of `text`.

        Raises, and changes nothing: InvalidChange (it does not fit the text, or cuts a surrogate
        pair), Forbidden (the role allows no writing), DocumentFull, Unavailable (too many edits
        wait for their order), Rejected (an earlier edit was refused, and `text` is another now), or
        what ended the connection for good.
        """
        self._raise_unheard()
        self._raise_ended()
        limits = self._connection.limits
        assert limits is not None, "an editor is handed out after its first welcome"
        if self.role not in _MAY_WRITE:
            raise Forbidden(f"a {self.role} may not write")
        if change.new_length > max(limits.max_document_units, change.length):
            raise DocumentFull(f"the document holds {limits.max_document_units} units")
        if len(self._replica.unconfirmed) >= MAX_UNCONFIRMED:
            raise Unavailable(f"{MAX_UNCONFIRMED} edits wait for their order")
        self._replica.edit(change)
        for follower in self._followers:
            follower.add(change)
        self._connection.nudge()

    # -- waiting ------------------------------------------------------------------------------

    async def confirmed(self, timeout_s: float = 30.0) -> None:
        """Wait until everything typed so far is ordered.

        Raises Rejected if some of it was refused for good; TimeoutError; or what ended the
        connection for good, a Problem or a SessionEnd.
        """
        self._raise_unheard()
        typed, heard = self._replica.typed, self._last_rejected
        await self._until(lambda: self._replica.ordered >= typed, timeout_s)
        lost = self._last_rejected
        if lost is not None and lost is not heard and lost.first <= typed:
            self._unheard = None
            raise lost

    async def saved(self, timeout_s: float = 30.0) -> None:
        """Wait until everything typed so far is in the database. Raises as `confirmed` does."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        await self.confirmed(timeout_s)
        own = self._replica.own_revision
        left_s = deadline_s - asyncio.get_running_loop().time()
        await self._until(lambda: self._has_saved(own), left_s)

    async def at(self, revision: int, timeout_s: float = 30.0) -> None:
        """Wait until `revision` is here. Raises TimeoutError, a Problem or a SessionEnd."""
        await self._until(lambda: self._replica.revision >= revision, timeout_s)

    async def changes(self) -> AsyncGenerator[Change, None]:
        """What happens to `text`, each time that others changed it, from the first step on.

        With `seen = editor.text` at the beginning, `seen = change.apply(seen)` follows `text`: what
        was typed here in the meantime is in the change, and several changes since the last step are
        one. Ends only by raising what ended the connection for good.
        """
        follower = Follower(self.text)
        self._followers.append(follower)
        try:
            while True:
                await self._until(lambda: follower.has_news, None)
                yield follower.take(self.text)
        finally:
            self._followers.remove(follower)

    # -- opening and closing ------------------------------------------------------------------

    async def open(self, timeout_s: float) -> None:
        """Connect; the editor is ready after its first welcome."""
        self._keeper = asyncio.create_task(self._connection.run(), name="collab client")
        self._keeper.add_done_callback(lambda _: self._connection.moved.fire())
        await self._until(lambda: self._connection.limits is not None, timeout_s)

    async def close(self) -> None:
        """Disconnect, whatever is unconfirmed. May be called twice."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            if not self._keeper.cancelled():
                self._keeper.exception()  # whom it concerned has heard it

    # -- how it is done -----------------------------------------------------------------------

    async def _until(self, reached: Callable[[], bool], timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    self._raise_ended()
                    await self._connection.moved.wait()
        except TimeoutError:
            trouble = self._connection.trouble
            said = f"; the connection is down: {trouble!r}" if trouble is not None else ""
            raise TimeoutError(f"waited {timeout_s} s{said}") from trouble

    def _has_saved(self, revision: int) -> bool:
        """Whether `revision`, one of its own, is saved; a reset may have left it behind (H6)."""
        return self._replica.saved_revision >= min(revision, self._replica.own_revision)

    def _raise_ended(self) -> None:
        if self._keeper is None or self._keeper.cancelled():
            raise CollabError("this editor is closed")
        if self._keeper.done():
            self._keeper.result()

    def _raise_unheard(self) -> None:
        if self._unheard is not None:
            lost, self._unheard = self._unheard, None
            raise lost

    def _on_seen(self, change: Change) -> None:
        for follower in self._followers:
            follower.add(change)
            follower.has_news = True

    def _on_rejected(self, lost: Rejected) -> None:
        self._last_rejected = self._unheard = lost


@asynccontextmanager
async def connect(
    base_url: str,
    document_id: str,
    *,
    token: Token,
    timeout_s: float = 30.0,
    backoff: Backoff | None = None,
) -> AsyncIterator[Editor]:
    """Open a document of the server at `base_url` (`http://…` or `https://…`).

    `token` is one, or an async function that gives one, asked before each session: only then does
    an editor outlive its token. Raises a Problem if the server refuses, TimeoutError if it cannot
    be reached in `timeout_s`. Leaving the block waits as long until everything typed is ordered,
    and raises as `confirmed` does; leaving it by an error does not wait.
    """
    scheme, host, path, _, _ = urlsplit(base_url)
    if scheme not in {"http", "https"}:
        raise ValueError(f"no http or https address: {base_url}")
    live = f"v1/documents/{quote(document_id, safe='')}/live"
    url = f"{'wss' if scheme == 'https' else 'ws'}://{host}{path.rstrip('/')}/{live}"
    editor = Editor(url, token, backoff or Backoff())
    try:
        await editor.open(timeout_s)
        yield editor
        await editor.confirmed(timeout_s)
    finally:
        await editor.close()
