"""What an operator does by the command."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from collab.access.tokens import User
from collab.storage import accounts
from collab.storage.accounts import Account
from collab.storage.database import database_at
from tests.test_cli import Command, command

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]  # a fixture

CHEAP = {"COLLAB_PASSWORD_MEMORY_KIB": "32", "COLLAB_PASSWORD_PASSES": "1"}
FORGOTTEN, NEW = "correct horse", "пароль ☃ with spaces "


async def add_account(data_dir: Path) -> None:
    database = database_at(f"sqlite:///{data_dir}/collab.db")
    await database.start()
    ada = Account(User("u1", "Ada", guest=False), "ada", "hashed")
    await database.write(lambda connection: accounts.add(connection, ada, 1))
    await database.close()


def test_a_password_is_read_from_standard_input(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command("migrate")[0] == 0
    asyncio.run(add_account(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{NEW}\nmore\n"))
    told = "Ada has another password, and is signed out everywhere\n"
    assert command("user password Ada", **CHEAP) == (0, told, "")
    database = sqlite3.connect(tmp_path / "collab.db")
    ((hashed,),) = database.execute("SELECT password_hash FROM accounts")
    database.close()
    assert PasswordHasher().verify(hashed, NEW)


@pytest.mark.parametrize(
    ("username", "typed", "wrong"),
    [
        ("bob", FORGOTTEN, "there is no account with this username"),
        ("b", FORGOTTEN, "the username must be 3 to 64 of A-Z a-z 0-9 . _ @ + -"),
        ("bob", "short", "the password must have 8 to 256 characters"),
        ("bob", "", "the password must have 8 to 256 characters"),
    ],
)
def test_what_cannot_be_set_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch, username: str, typed: str, wrong: str
) -> None:
    assert command("migrate")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
    assert command(f"user password {username}", **CHEAP) == (2, "", f"collab: {wrong}\n")


def test_no_database_is_made_where_there_is_none(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{FORGOTTEN}\n"))
    code, _, told = command("user password ada", **CHEAP)
    assert (code, told) == (2, f"collab: there is no database at {tmp_path}/collab.db\n")
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_whoever_types_a_password_types_it_twice(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([FORGOTTEN, "correct hose"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    assert command("user password ada") == (2, "", "collab: these are two passwords\n")
