"""What a user may do changes while they are connected (X2), over a real server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from collab.access.roles import Role
from collab.access.tokens import Tokens
from collab.errors import Unavailable
from collab.log.local import LocalFeed
from collab.rooms.open_room import OpenRoom
from collab.rooms.registry import Registry
from collab.rooms.standings import Standings
from collab.storage import documents, newcomers
from tests.serving import PATIENCE_S, serving
from tests.standing import give, role_given, user_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from collab.access.tokens import Identity
    from collab.log.entry import Entry
    from tests.serving import Serving


async def test_x2_who_loses_write_access_is_told_and_refused_from_then_on(server: Serving) -> None:
    document_id = await server.document("text")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await give(server, document_id, "Bob", "viewer")
    assert await bob.hear("role") == {"type": "role", "role": "viewer"}
    await bob.push([4, [0, "!"]])
    assert (await bob.hear("refused"))["code"] == "forbidden"
    await give(server, document_id, "Bob", "editor")
    assert (await bob.hear("role"))["role"] == "editor"
    await bob.push([4, [0, "!"]])
    await bob.heard(2)
    await ada.heard(2)


async def test_x2_once_a_change_is_answered_it_holds_on_this_server(server: Serving) -> None:
    document_id = await server.document("text")
    bob = await server.join(document_id, "Bob")
    await give(server, document_id, "Bob", "viewer")
    await bob.push([4, [0, "!"]])
    assert (await bob.hear("refused", "updates"))["type"] == "refused"


async def test_x2_a_role_that_stays_is_not_told(server: Serving) -> None:
    document_id = await server.document("text")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await give(server, document_id, "Bob", "editor")
    await give(server, document_id, "Bob", "commenter")
    assert (await bob.hear("role"))["role"] == "commenter"
    await ada.push([4, [0, "!"]])
    await ada.heard(2)
    assert "role" not in [message["type"] for message in ada.aside]


async def test_x2_who_loses_all_access_is_closed_with_4403(server: Serving) -> None:
    document_id = await server.document("text")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await give(server, document_id, "Bob", "removed")
    assert await bob.closed() == 4403
    await ada.push([4, [0, "!"]])
    await ada.heard(2)


async def test_x2_a_role_that_ends_at_a_time_ends_without_a_word(server: Serving) -> None:
    """And they have what anyone has."""
    document_id = await server.document("text")
    bob = await server.join(document_id, "Bob")
    until = int(time.time() * 1000) + 2_000
    await give(server, document_id, "Bob", "viewer", until=until)
    assert (await bob.hear("role"))["role"] == "viewer"
    assert (await bob.hear("role"))["role"] == "editor"
    assert time.time() * 1000 >= until


async def test_x2_a_viewers_presence_shows(server: Serving) -> None:
    document_id = await server.document("text")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await give(server, document_id, "Bob", "viewer")
    await bob.hear("role")
    await bob.send({"type": "presence", "revision": 1, "ranges": [[2, 2]]})
    while True:
        told = (await ada.hear("presence"))["peers"]
        if [[2, 2]] in [peer["ranges"] for peer in told if peer["client"] == bob.name]:
            break


async def test_x2_a_change_that_nobody_told_of_is_found(tmp_path: Path) -> None:
    async with serving(tmp_path, access_check_s=0.1) as server:
        document_id = await server.document("text")
        other_id = await server.document("text")
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        eve = await server.join(other_id, "Eve")
        await give(server, document_id, "Bob", "removed", told=False)
        assert await bob.closed() == 4403
        await server.services.database.write(
            lambda connection: documents.delete(connection, document_id)
        )
        assert await ada.closed() == 4404
        await eve.push([4, [0, "!"]])
        await eve.heard(2)


@pytest.mark.parametrize(
    ("what", "text", "query"),
    [
        ((Registry, "_read"), "text", {}),
        ((OpenRoom, "fate"), "text", {"inflight": 1}),
        ((asyncio.Semaphore, "acquire"), "long " * 20_000, {}),
    ],
    ids=["while the room is opened", "while a push is settled", "while it waits for its turn"],
)
async def test_x2_who_is_removed_during_the_handshake_is_not_let_in(
    server: Serving,
    monkeypatch: pytest.MonkeyPatch,
    what: tuple[type, str],
    text: str,
    query: dict[str, Any],
) -> None:
    document_id = await server.document(text)
    if what[0] is not Registry:
        await (await server.join(document_id, "Bob")).leave()
    remove = partial(give, server, document_id, "Bob", "removed", told=False)
    before(monkeypatch, *what, remove)
    status, problem = await server.refusal(document_id, token=await server.token("Bob"), **query)
    assert (status, problem["code"]) == (404, "not_found")


async def test_x2_a_handshake_that_overlaps_a_change_is_looked_at_when_it_joins(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was let in, and its session is not there yet when everybody's is looked at."""
    document_id = await server.document("text")
    await (await server.join(document_id, "Bob")).leave()
    known, looked = newcomers.known, asyncio.Event()
    look = Standings._take

    def take(standings: Standings, *args: Any) -> None:
        look(standings, *args)
        looked.set()

    monkeypatch.setattr(Standings, "_take", take)

    async def removed_meanwhile(*args: Any) -> newcomers.Known:
        found = await known(*args)
        await give(server, document_id, "Bob", "removed")
        await looked.wait()
        return found

    monkeypatch.setattr(newcomers, "known", removed_meanwhile)
    bob = await server.join(document_id, "Bob")
    assert bob.welcome["role"] == "editor"
    assert await bob.closed() == 4403


def before(
    patch: pytest.MonkeyPatch, owner: type, name: str, what: Callable[[], Awaitable[None]]
) -> None:
    """Do something each time before a method is called."""
    real = getattr(owner, name)

    async def patched(*args: Any) -> Any:
        await what()
        return await real(*args)

    patch.setattr(owner, name, patched)


async def test_x2_a_role_by_token_is_the_tokens_to_change(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: a renewed token may name another role, or none: then the database has its word."""
    verify, roles = Tokens.verify, dict[str, Role]()

    async def with_roles(tokens: Tokens, token: str) -> Identity:
        return replace(await verify(tokens, token), roles=dict(roles))

    monkeypatch.setattr(Tokens, "verify", with_roles)
    document_id, token = await server.document("text"), await server.token("Bob")
    roles["*"] = Role.VIEWER
    bob = await server.join(document_id, "Bob")
    assert bob.welcome["role"] == "viewer"
    await give(server, document_id, "Bob", "removed")
    roles[document_id] = Role.EDITOR
    await bob.send({"type": "token", "token": token})
    assert (await bob.hear("role"))["role"] == "editor"
    await bob.push([4, [0, "!"]])
    await bob.heard(2)
    roles.clear()
    await bob.send({"type": "token", "token": token})
    assert await bob.closed() == 4403


async def nobody_may_write(server: Serving, document_id: str) -> None:
    """Wait until no session of a document may, since nothing is told before its end."""
    attendance = server.room(document_id).attendance
    async with asyncio.timeout(PATIENCE_S):
        while any(each.may_write for each in attendance.sessions()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Slow:
    """Gives what is pushed its place when the test says so, or refuses it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[LocalFeed, Entry]] = []
        self.has_one = asyncio.Event()
        self._append = LocalFeed.append

        def append(feed: LocalFeed, entry: Entry) -> None:
            self.given.append((feed, entry))
            self.has_one.set()

        patch.setattr(LocalFeed, "append", append)

    def order(self) -> None:
        for feed, entry in self.given:
            self._append(feed, entry)

    def refuse(self) -> None:
        for feed, entry in self.given:
            feed._subscriber.refused(entry, Unavailable("the log is away"))


@pytest.mark.parametrize("role", ["viewer", "removed"])
async def test_x2_a_push_in_flight_that_is_ordered_comes_back(
    server: Serving, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    document_id = await server.document("text")
    bob = await server.join(document_id, "Bob")
    slow = Slow(monkeypatch)
    await bob.push([4, [0, "!"]])
    await slow.has_one.wait()
    await give(server, document_id, "Bob", role)
    if role == "viewer":
        await bob.hear("role")
    else:
        await nobody_may_write(server, document_id)
    slow.order()
    assert (await bob.hear("updates"))["updates"] == [[bob.name, 1, [4, [0, "!"]]]]
    if role == "removed":
        assert await bob.closed() == 4403
    assert await server.text(document_id) == "text!"


@pytest.mark.parametrize("role", ["viewer", "removed"])
async def test_x2_a_push_in_flight_that_is_not_ordered_is_refused(
    server: Serving, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    document_id = await server.document("text")
    bob = await server.join(document_id, "Bob")
    slow = Slow(monkeypatch)
    await bob.push([4, [0, "!"]])
    await slow.has_one.wait()
    await give(server, document_id, "Bob", role)
    slow.refuse()
    assert (await bob.hear("refused"))["seq"] == 1
    if role == "removed":
        assert await bob.closed() == 4403
    assert await server.text(document_id) == "text"


async def test_x2_who_gets_access_back_before_the_end_stays(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = await server.document("text")
    bob = await server.join(document_id, "Bob")
    slow = Slow(monkeypatch)
    await bob.push([4, [0, "!"]])
    await slow.has_one.wait()
    monkeypatch.setattr("collab.live.session.ANSWER_S", 20)
    await give(server, document_id, "Bob", "removed")
    await nobody_may_write(server, document_id)
    await give(server, document_id, "Bob", "commenter")
    assert (await bob.hear("role"))["role"] == "commenter"
    slow.order()
    await bob.heard(2)


async def test_x2_a_flood_of_changes_disturbs_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        document_id = await server.document("text")
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        user_id = await user_id_of(server, "Bob")
        services = server.services
        for number in range(25):
            role = "viewer" if number % 2 else "commenter"
            change = partial(role_given, document_id=document_id, user_id=user_id, role=role)
            await services.database.write(change)
            changed = services.registry.access_changed
            await asyncio.gather(*(changed(document_id) for _ in range(100)))
        await give(server, document_id, "Bob", "editor")
        await ada.push([4, [0, "!"]])
        await ada.heard(2)
        while (await bob.hear("role"))["role"] != "editor":
            pass
        await bob.heard(2)
        await bob.push([5, [0, "?"]])
        await bob.heard(3)
