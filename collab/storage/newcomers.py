"""What the database is asked when somebody comes to a document by a handshake: all of it at once.

A question takes little of the database and much of the way to it and back; and many come together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, select

from collab.access.roles import Role, Standing, claimed
from collab.storage import access
from collab.storage.documents import listed
from collab.storage.tables import clients, documents, members

if TYPE_CHECKING:
    from collab.storage.access import Caller
    from collab.storage.database import Database


class Known(NamedTuple):
    """Of one reading: what its user may do, the version of access to the document that this is of,
    None where their token says it; and the largest seq of the client that took effect and is saved,
    -1 if none did.
    """

    standing: Standing
    version: int | None
    last_seq: int


async def known(
    database: Database, document_id: str, caller: Caller, client: str, at: int
) -> Known:
    """Of somebody who opens a document: from now on it is on their list. `client` is the public
    name. Raises `NotFound`, for one that they have no standing in as for one that is not there.
    """
    user, claims = caller
    found = await listed(database, _KNOWN, document_id, user, at, claims, client=client)
    last_seq = -1 if found.seq is None else found.seq
    role = claimed(claims, document_id)
    if role is not None:
        return Known(Standing(role), None, last_seq)
    return Known(Standing(Role(found.role), found.until), found.access_version, last_seq)


_NOW = bindparam("now", type_=BigInteger)
_KNOWN = (
    select(
        access.role_now(_NOW).label("role"),
        access.until(_NOW).label("until"),
        members.c.user_id.is_not(None).label("listed"),
        documents.c.access_version,
        clients.c.seq,
    )
    .select_from(documents)
    .outerjoin(
        members,
        and_(members.c.document_id == documents.c.id, members.c.user_id == bindparam("user_id")),
    )
    .outerjoin(
        clients,
        and_(clients.c.document_id == documents.c.id, clients.c.client == bindparam("client")),
    )
    .where(documents.c.id == bindparam("document_id"))
)
