"""What a log promises to the rooms, whichever engine keeps it.

A log gives the pushes of a document their order. For each open document a server follows its log
by one `Feed`, which tells one `Subscriber` what was ordered: every entry once, in order, no gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collab.errors import Refusal
    from collab.log.entry import Entry


class Subscriber(Protocol):
    """Who follows a document's log. None of these calls waits or raises."""

    @property
    def revision(self) -> int:
        """The revision up to which it has heard the order."""

    @property
    def mark(self) -> str:
        """The mark there."""

    def mark_at(self, revision: int) -> str | None:
        """The mark at a revision that it has heard; None if it is not kept or lies in a push."""

    def knows(self, client: str, seq: int) -> bool:
        """Whether it has heard an entry of this client and seq, as far back as is kept."""

    def ordered(self, entry: Entry, mark: str) -> None:
        """`entry` is next in the order, and `mark` is the mark after it."""

    def durable(self, revision: int) -> None:
        """No loss of one server takes back what was ordered up to here: it may be shown."""

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        """`entry`, given to `append`, is not in the order and never will be."""

    def saved_elsewhere(self, revision: int) -> None:
        """Another server has saved every entry up to `revision`, perhaps ones not heard yet."""

    def leads(self) -> None:
        """From now on, this server is the one that saves: `Feed.leading` says for how long."""

    def heard(self, message: bytes) -> None:
        """Another server, or this one, gave this to `Feed.tell`."""

    def resubscribed(self) -> None:
        """From here on `heard` is told; what was told before may have been missed."""

    def adrift(self) -> None:
        """The log does not go on from here: the document is to be read anew."""

    def deleted(self) -> None:
        """There is no such document any more."""

    def access_changed(self) -> None:
        """Who may do what with the document has changed in the database."""


class Feed(Protocol):
    """One document's log as one server follows it."""

    def append(self, entry: Entry) -> None:
        """Ask for a place in the order. The subscriber hears `ordered` or `refused`."""

    async def place(self, entry: Entry) -> None:
        """Order an entry, and return when the subscriber has heard it. Raises `Unavailable` where
        that may or may not have come to pass: it may be done again.
        """

    async def settle(self, client: str, seq: int) -> None:
        """Make the fate of a push final.

        When it returns, the subscriber has heard all that decides it: the push is in the order and
        durable, or it never will be. The caller has ended the session that sent the push, so that
        no new copy comes by this server. Raises `Unavailable` while that cannot be promised.
        """

    async def catch_up(self) -> None:
        """Return when the subscriber has heard all that was ordered before the call (H8)."""

    @property
    def leading(self) -> bool:
        """Whether this server is the one that saves what is ordered. Two may think so at times."""

    @property
    def run(self) -> str | None:
        """What the database's row must name as the log's run for these entries to be saved; None
        where it need not name any.
        """

    def committed(self, revision: int) -> None:
        """The database has every entry up to `revision`, which was put there by this server. It may
        not be on the disk.
        """

    def saved(self, revision: int) -> None:
        """It is on the disk, too."""

    def doubt(self) -> None:
        """The database has another history, or names another run: find out which one holds."""

    def tell(self, message: bytes) -> None:
        """Tell every server that follows the document, this one too; no promise that all hear."""

    def beat(self) -> None:
        """Look whether anything was missed. Called every heartbeat."""

    def close(self, error: Exception | None = None) -> None:
        """Stop following. Whoever waits in `settle` is told `Unavailable`."""


S = TypeVar("S", bound=Subscriber)


class Log(Protocol):
    """Where feeds come from."""

    async def open(self, document_id: str, read: Callable[[], Awaitable[S]]) -> tuple[S, Feed]:
        """Follow a document's log.

        `read` makes a subscriber from what the database has; the feed goes on from its revision.
        A log whose end is ahead of the database, or whose start is, may call it again.
        """

    @property
    def ready(self) -> bool:
        """Whether pushes can be ordered at present, as far as is known."""

    def now_s(self) -> float:
        """Seconds since 1970, by about the same clock for all servers."""

    async def remove(self, document_id: str) -> None:
        """The document is deleted: every server that follows it hears so."""

    async def access_changed(self, document_id: str) -> None:
        """Every server that follows the document hears so, this one too where it is told; no
        promise that all hear.
        """
