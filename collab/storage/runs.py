"""Which run of Redis a document's log lies in, as the document's row names it.

A run that is claimed shuts out who saves under another one: their condition names it. So once
`claim` has returned, what the row says is saved is all that was ever saved under earlier runs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from collab.errors import NotFound, Unavailable
from collab.storage.tables import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from collab.storage.database import Database


class Row(NamedTuple):
    """What a document's row says: the run ('' if none was ever claimed), and where the saved
    history ends.
    """

    run: str
    revision: int
    mark: str


class Runs:
    """The runs of all documents of a database. Raises `Unavailable` while it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, document_id: str) -> Row:
        """Raises `NotFound`."""
        with _answering():
            return await self._database.look_up(lambda connection: look(connection, document_id))

    async def claim(self, document_id: str, run: str, former: str) -> Row | None:
        """Name `run` in the document's row, if it names `former` or `run`. Returns the row as it is
        then, None if it names another. Raises `NotFound`.

        A commit under way comes before or after: on PostgreSQL whoever moves the row next waits for
        the other, and then looks whether its condition still holds.
        """
        with _answering():
            return await self._database.write(
                lambda connection: claim(connection, document_id, run, former)
            )


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable("the database does not answer") from error


def look(connection: Connection, document_id: str) -> Row:
    """Raises `NotFound`."""
    row = connection.execute(_LOOK, {"document": document_id}).one_or_none()
    if row is None:
        raise NotFound("there is no such document")
    return Row(*row)


def claim(connection: Connection, document_id: str, run: str, former: str) -> Row | None:
    """As `Runs.claim`."""
    wanted = {"document": document_id, "new_run": run, "former": former}
    row = connection.execute(_CLAIM, wanted).one_or_none()
    if row is None:
        look(connection, document_id)
        return None
    return Row(*row)


_ROW = (documents.c.redis_run, documents.c.saved_revision, documents.c.saved_mark)
_LOOK = select(*_ROW).where(documents.c.id == bindparam("document"))
_CLAIM = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"),
        documents.c.redis_run.in_((bindparam("former"), bindparam("new_run"))),
    )
    .values(redis_run=bindparam("new_run"))
    .returning(*_ROW)
)
