"""Who may do what, changed in the database, with or without a word to the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt

from collab.storage.tables import documents, members

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.serving import Serving


def role_given(
    connection: Connection, document_id: str, user_id: str, role: str, until: int | None = None
) -> None:
    """Give somebody a role by name, "removed" for none."""
    mine = (members.c.document_id == document_id, members.c.user_id == user_id)
    connection.execute(members.delete().where(*mine))
    connection.execute(
        members.insert().values(
            document_id=document_id, user_id=user_id, role=role, created_at=1, until=until
        )
    )
    version = documents.c.access_version
    connection.execute(
        documents.update().where(documents.c.id == document_id).values({version: version + 1})
    )


async def user_id_of(server: Serving, name: str) -> str:
    token = await server.token(name)
    user_id: str = jwt.decode(token, options={"verify_signature": False})["sub"]
    return user_id


async def give(
    server: Serving,
    document_id: str,
    name: str,
    role: str,
    *,
    known_to: Serving | None = None,
    until: int | None = None,
    told: bool = True,
) -> None:
    """By `server`; `known_to` is the one that knows the person by this name, if it is another.
    `told`: whether the servers hear of it, as they do unless Redis is away.
    """
    user_id = await user_id_of(known_to or server, name)
    await server.services.database.write(
        lambda connection: role_given(connection, document_id, user_id, role, until)
    )
    if told:
        await server.services.registry.access_changed(document_id)
