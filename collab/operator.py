"""What an operator does beside the servers, whether any runs or not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collab.access import passwords
from collab.access.passwords import Passwords
from collab.api.fields import username as checked_username
from collab.api.services import guessing_at
from collab.errors import Misconfigured, Unprocessable
from collab.storage import accounts
from collab.storage.database import database_at
from collab.storage.guesses import Guessed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from collab.settings import Settings


async def set_password(settings: Settings, username: str, password: str) -> None:
    """Set an account's password, and end all its sign-ins. Raises `Misconfigured`."""
    try:
        wanted = checked_username(username, "/username")
        passwords.check(password, wanted, "/password")
    except Unprocessable as error:
        raise Misconfigured(f"the {(error.pointer or '')[1:]} {error.message}") from None
    hasher = Passwords(settings.password_memory_kib, settings.password_passes)
    database = database_at(settings.sqlalchemy_url, beside=True)
    guessing = guessing_at(database, settings, time.time)
    try:
        hashed = await hasher.hash(password)
        await database.start()

        def change(connection: Connection) -> None:
            account = accounts.named(connection, wanted)
            if account is None:
                raise Misconfigured("there is no account with this username")
            ttl_s = settings.token_ttl_s
            if accounts.change_password(connection, account, hashed, _now_ms, ttl_s) is None:
                raise Misconfigured("somebody else has just changed it")
            guessing.give_back(connection, Guessed.USERNAME, wanted)

        await database.write(change)
    finally:
        hasher.close()
        await database.close()


def _now_ms() -> int:
    return int(time.time() * 1000)
