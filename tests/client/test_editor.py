"""The editor and its connection, against a server that does just what the test says."""

from __future__ import annotations

import asyncio
import re
import zlib
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from collab import client
from collab.backoff import Backoff
from collab.client import Editor, Rejected
from collab.errors import (
    CloseCode,
    CollabError,
    DocumentFull,
    Forbidden,
    InvalidChange,
    NotFound,
    Problem,
    SessionEnd,
    Unauthorized,
)
from tests.client.scripted import Scripted, Session, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from collab.text import Change


class NoPause(Backoff):
    """Comes back at once, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def next_s(self) -> float:
        self.count += 1
        return 0


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted() as script:
        yield script


@asynccontextmanager
async def editing(
    server: Scripted,
    text: str = "",
    *,
    token: str | Callable[[], Awaitable[str]] = "t",
    backoff: Backoff | None = None,
    **fields: Any,
) -> AsyncIterator[tuple[Editor, Session]]:
    """An editor that was welcomed at revision 1, and its session. Both are gone in the end."""
    editor = Editor(
        f"ws{server.url[4:]}/v1/documents/d/live", token, NoPause() if backoff is None else backoff
    )
    async with asyncio.TaskGroup() as tasks:
        welcomed = tasks.create_task(server.welcomed(text, 1, **fields))
        await editor.open(30)
    try:
        yield editor, welcomed.result()
    finally:
        await editor.close()


# -- opening and leaving ------------------------------------------------------------------------


async def test_an_editor_opens_with_the_documents_text(server: Scripted) -> None:
    """H1, H4: the token is in no address, the client's ID is its own secret."""
    async with asyncio.TaskGroup() as tasks:
        welcomed = tasks.create_task(server.welcomed("Hello 😀", 7, saved=5))
        async with client.connect(server.url, "a/b", token="secret") as editor:
            assert (str(editor.text), len(editor.text)) == ("Hello 😀", 8)
            assert (editor.revision, editor.saved_revision, editor.role) == (7, 5, "editor")
            assert editor.name == "me"
    session = welcomed.result()
    assert session.path == "/v1/documents/a%2Fb/live"
    assert session.token == "Bearer secret"
    assert list(session.query) == ["client"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{16,64}", session.query["client"])


async def test_leaving_waits_until_what_was_typed_is_ordered(server: Scripted) -> None:
    left = asyncio.Event()

    async def type_and_leave() -> None:
        async with client.connect(server.url, "d", token="t") as editor:
            editor.insert(0, "a")
        left.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(type_and_leave())
        session = await server.welcomed()
        push = await session.hear()
        assert not left.is_set()
        await session.order(push)
    assert left.is_set()


async def test_leaving_by_an_error_does_not_wait(server: Scripted) -> None:
    async def type_and_fail() -> None:
        async with client.connect(server.url, "d", token="t") as editor:
            editor.insert(0, "a")
            raise LookupError

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.welcomed())
        with pytest.raises(LookupError):
            await type_and_fail()


async def test_an_address_must_be_http(server: Scripted) -> None:
    with pytest.raises(ValueError, match="no http"):
        async with client.connect(f"ws{server.url[4:]}", "d", token="t"):
            pass


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Unauthorized), (404, NotFound), (418, Problem)],
)
async def test_a_refused_handshake_is_raised_with_its_reason(
    server: Scripted, status: int, error: type[Problem]
) -> None:
    """H2."""
    server.refuse(HTTPStatus(status), "because")
    with pytest.raises(error, match="because"):
        async with client.connect(server.url, "d", token="t"):
            pass


async def test_a_busy_server_is_asked_again(server: Scripted) -> None:
    """H2, H7: 503 and 429 pass."""
    server.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
    server.refuse(HTTPStatus.TOO_MANY_REQUESTS, Retry_After="0")
    server.refuse(HTTPStatus.BAD_GATEWAY)
    backoff = NoPause()
    async with editing(server, backoff=backoff):
        assert backoff.count == 2


async def test_a_server_that_cannot_be_reached_is_told_in_time() -> None:
    async with scripted() as gone:
        url = gone.url
    with pytest.raises(TimeoutError, match="connection is down"):
        async with client.connect(url, "d", token="t", timeout_s=0.05, backoff=NoPause()):
            pass


async def test_a_server_of_another_version_is_not_spoken_to(server: Scripted) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.welcomed(protocol=2))
        with pytest.raises(SessionEnd, match="version 2"):
            async with client.connect(server.url, "d", token="t"):
                pass


# -- typing -------------------------------------------------------------------------------------


async def test_what_is_typed_while_a_push_is_in_flight_goes_into_the_next(
    server: Scripted,
) -> None:
    """P1, P2, P3."""
    async with editing(server, "ad") as (editor, session):
        editor.insert(1, "b")
        first = await session.hear()
        editor.insert(2, "c")
        editor.replace(0, 1, "A")
        assert str(editor.text) == "Abcd"
        assert (first["revision"], first["seq"], first["updates"]) == (1, 1, [[1, [0, "b"], 1]])
        await session.order(first)
        second = await session.hear()
        assert (second["revision"], second["seq"]) == (2, 2)
        assert second["updates"] == [[2, [0, "c"], 1], [[1, "A"], 3]]
        await session.order(second)
        await editor.confirmed()
        assert (editor.revision, editor.unconfirmed) == (4, ())


async def test_saved_waits_for_the_database(server: Scripted) -> None:
    """S1, S2."""
    async with editing(server) as (editor, session):
        editor.insert(0, "a")
        waiting = asyncio.create_task(editor.saved())
        await session.order(await session.hear())
        await editor.confirmed()
        assert not editor.is_saved
        assert not waiting.done()
        await session.send({"type": "saved", "revision": 2})
        await waiting
        assert editor.is_saved


async def test_an_edit_that_cannot_be_is_refused_before_it_is_sent(server: Scripted) -> None:
    """T4, T5, L1."""
    async with editing(server, "😀") as (editor, session):
        refused: list[tuple[Callable[[], None], type[CollabError]]] = [
            (lambda: editor.insert(1, "a"), InvalidChange),
            (lambda: editor.delete(0, 3), InvalidChange),
            (lambda: editor.insert(0, "\r"), InvalidChange),
            (lambda: editor.insert(0, "\ud800"), InvalidChange),
            (lambda: editor.insert(0, 1_000 * "a"), DocumentFull),
        ]
        for edit, error in refused:
            with pytest.raises(error):
                edit()
        await session.send({"type": "role", "role": "viewer"})
        await session.updates(2, ("you", 1, [2, [0, "!"]]))
        await editor.at(2)
        with pytest.raises(Forbidden):
            editor.insert(0, "a")
        assert (str(editor.text), editor.unconfirmed) == ("😀!", ())


async def test_changes_follow_the_text(server: Scripted) -> None:
    async with editing(server, "b") as (editor, session):
        seen = editor.text
        changes = editor.changes()
        step: asyncio.Task[Change] = asyncio.ensure_future(anext(changes))
        await session.updates(2, ("you", 1, [[0, "a"], 1]))
        seen = (await step).apply(seen)
        assert str(seen) == "ab"
        # What happens between two steps is one change, with what was typed here.
        editor.insert(2, "c")
        await session.updates(3, ("you", 2, [[1], 1]))
        await session.updates(4, ("you", 3, [[0, "x"], 1]))
        await editor.at(4)
        seen = (await anext(changes)).apply(seen)
        assert str(seen) == str(editor.text) == "xbc"
        await changes.aclose()


async def test_changes_are_bounded_however_long_nobody_looks(server: Scripted) -> None:
    async with editing(server, "") as (editor, session):
        seen = editor.text
        changes = editor.changes()
        step: asyncio.Task[Change] = asyncio.ensure_future(anext(changes))
        await session.updates(2, ("you", 1, [[0, "x"]]))
        seen = (await step).apply(seen)
        for at in range(300):
            editor.insert(at, "a")
            editor.insert(0, "bc")
            editor.delete(0, 1)
            editor.delete(0, 1)
        await session.updates(3, ("you", 2, [1, [0, "y"]]))
        await editor.at(3)
        seen = (await anext(changes)).apply(seen)
        assert seen == editor.text
        assert str(seen) == 300 * "a" + "xy"
        await changes.aclose()


# -- refused pushes -----------------------------------------------------------------------------


async def test_a_push_refused_for_a_passing_reason_is_pushed_again(server: Scripted) -> None:
    """P5."""
    async with editing(server) as (editor, session):
        editor.insert(0, "a")
        first = await session.hear()
        refused = {"type": "refused", "seq": first["seq"], "message": ""}
        await session.send(refused | {"code": "rate_limited", "retry_after_ms": 1})
        again = await session.hear()
        assert (again["seq"], again["updates"]) == (2, first["updates"])
        await session.send(refused | {"code": "unavailable", "seq": 2})
        await session.order(await session.hear())
        await editor.confirmed()


async def test_a_push_refused_for_good_is_raised_with_its_text(server: Scripted) -> None:
    """P5."""
    async with editing(server, "a") as (editor, session):
        editor.insert(1, "b")
        push = await session.hear()
        editor.insert(2, "c")
        seen = editor.text
        changes = editor.changes()
        step: asyncio.Task[Change] = asyncio.ensure_future(anext(changes))
        waiting = asyncio.create_task(editor.confirmed())
        await refuse_for_good(session, push)
        with pytest.raises(Rejected, match="too much") as raised:
            await waiting
        assert (str(raised.value.text), str(raised.value.confirmed)) == ("abc", "a")
        assert isinstance(raised.value.refusal, DocumentFull)
        assert (await step).apply(seen) == editor.text
        await changes.aclose()
        # The session goes on.
        editor.insert(1, "d")
        await session.order(await session.hear())
        await editor.confirmed()
        assert str(editor.text) == "ad"


async def test_a_refusal_that_nobody_waited_for_is_raised_by_the_next_call(
    server: Scripted,
) -> None:
    """P5: nothing is dropped silently."""
    async with editing(server, "a") as (editor, session):
        editor.insert(1, "b")
        await refuse_for_good(session, await session.hear())
        await session.updates(2, ("you", 1, [[0, "x"], 1]))
        await editor.at(2)
        with pytest.raises(Rejected):
            editor.insert(0, "c")
        assert str(editor.text) == "xa"
        await editor.confirmed()


async def refuse_for_good(session: Session, push: dict[str, Any]) -> None:
    await session.send(
        {
            "type": "refused",
            "seq": push["seq"],
            "code": "document_full",
            "message": "too much",
        }
    )


# -- coming back --------------------------------------------------------------------------------


async def test_a_cut_session_resumes_and_learns_that_its_push_was_ordered(
    server: Scripted,
) -> None:
    """H1, H5, H7: nothing is pushed twice."""
    async with editing(server, "a") as (editor, session):
        editor.insert(1, "b")
        push = await session.hear()
        session.cut()
        editor.insert(2, "c")
        again = await server.session()
        assert again.query == {
            "client": session.query["client"],
            "revision": "1",
            "mark": "m1",
            "inflight": "1",
        }
        await again.welcome(None, 1, inflight="ordered", head=2)
        await again.order(push)
        rest = await again.hear()
        assert (rest["seq"], rest["updates"]) == (2, [[2, [0, "c"]]])
        await again.order(rest)
        await editor.confirmed()
        assert str(editor.text) == "abc"


async def test_a_cut_session_resumes_and_pushes_again_what_is_void(server: Scripted) -> None:
    """H5, H7."""
    async with editing(server, "a") as (editor, session):
        editor.insert(1, "b")
        await session.hear()
        session.cut()
        again = await server.session()
        await again.welcome(None, 1, inflight="void", head=2)
        await again.updates(2, ("you", 1, [[0, "x"], 1]))
        push = await again.hear()
        assert push["seq"] == 2
        await again.order({**push, "updates": [[2, [0, "b"]]]}, revision=3)
        await editor.confirmed()
        assert str(editor.text) == "xab"


async def test_after_a_reset_what_is_unsent_is_carried_over(server: Scripted) -> None:
    """H6."""
    async with editing(server, "one two") as (editor, session):
        editor.insert(3, "!")
        await session.hear()
        session.cut()
        again = await server.session()
        await again.welcome("zero one three", 9, reset=True, inflight="void")
        push = await again.hear()
        assert (push["revision"], push["updates"]) == (9, [[8, [0, "!"], 6]])
        assert str(editor.text) == "zero one! three"


@pytest.mark.parametrize(
    "beat", [{"crc": 1}, {"revision": 3}, {"mark": "other"}], ids=["crc", "revision", "mark"]
)
async def test_an_editor_with_another_text_than_the_servers_starts_afresh(
    server: Scripted, beat: dict[str, Any]
) -> None:
    """U5, U6."""
    async with editing(server, "a") as (editor, session):
        editor.insert(1, "b")
        await session.hear()
        await session.beat(**{"revision": 1, **beat})
        again = await server.session()
        assert again.query == {"client": session.query["client"], "inflight": "1"}
        await again.welcome("c", 1, inflight="void")
        assert (await again.hear())["updates"] == [[1, [0, "b"]]]
        assert str(editor.text) == "cb"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "unheard of"},
        {"type": "updates", "revision": 5, "mark": "m5", "updates": [["you", 1, [1]]]},
        {"type": "updates", "revision": 2, "mark": "m2", "updates": [["you", 1, [7]]]},
        {"type": "welcome"},
        {"type": "refused", "seq": 9, "code": "stale", "message": ""},
    ],
    ids=["unknown", "gap", "misfit", "welcome", "refused"],
)
async def test_a_server_that_does_not_make_sense_is_asked_for_a_fresh_text(
    server: Scripted, message: dict[str, Any]
) -> None:
    async with editing(server, "a") as (editor, session):
        await session.send(message)
        again = await server.session()
        assert "revision" not in again.query
        await again.welcome("b", 9)
        await editor.at(9)
        assert str(editor.text) == "b"


async def test_beats_are_answered(server: Scripted) -> None:
    """U5, U6."""
    async with editing(server, "a") as (editor, session):
        await session.beat(1, saved=1, crc=zlib.crc32("a".encode("utf-16-le")))
        assert await session.hear() == {"type": "beat"}
        assert editor.saved_revision == 1


async def test_a_server_without_a_beat_for_two_heartbeats_is_left(server: Scripted) -> None:
    """U5: other messages are no beat."""
    async with editing(server, "a", limits={"heartbeat_s": 0.05}) as (_, session):
        await session.send({"type": "saved", "revision": 1})
        again = await server.session()
        assert again.query["revision"] == "1"


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4408, 4410, 4429])
async def test_a_session_that_ends_for_now_is_resumed(server: Scripted, code: int) -> None:
    """L3."""
    async with editing(server, "a") as (_, session):
        await session.close(code)
        assert (await server.session()).query["revision"] == "1"


@pytest.mark.parametrize(
    "code",
    [1009, 4400, 4401, 4403, 4404, 4409],
)
async def test_a_session_that_ends_for_good_is_told_and_leaves_the_text(
    server: Scripted, code: int
) -> None:
    """L3, X1, X2: 4401 is for good where there is only the one token."""
    async with editing(server, "a") as (editor, session):
        editor.insert(1, "b")
        await session.hear()
        waiting = asyncio.create_task(editor.confirmed())
        await session.close(code, "because")
        with pytest.raises(SessionEnd, match="because") as raised:
            await waiting
        assert raised.value.close == CloseCode(code)
        assert (str(editor.text), len(editor.unconfirmed)) == ("ab", 1)
        with pytest.raises(SessionEnd):
            editor.insert(0, "c")
        with pytest.raises(SessionEnd):
            await anext(editor.changes())


async def test_an_expired_token_is_replaced_by_a_new_one(server: Scripted) -> None:
    """X1."""
    tokens = iter(["first", "second"])

    async def token() -> str:
        return next(tokens)

    async with editing(server, "a", token=token) as (_, session):
        assert session.token == "Bearer first"
        await session.close(4401)
        assert (await server.session()).token == "Bearer second"


async def test_a_source_of_tokens_that_fails_is_heard(server: Scripted) -> None:
    async def token() -> str:
        raise LookupError("no token today")

    with pytest.raises(LookupError, match="no token today"):
        async with client.connect(server.url, "d", token=token):
            pass


async def test_a_server_that_says_goodbye_is_left_alone_until_it_said(server: Scripted) -> None:
    """H9."""
    backoff = NoPause()
    async with editing(server, "a", backoff=backoff) as (_, session):
        await session.send({"type": "goodbye", "retry_after_ms": 1})
        await session.close(1012)
        await server.session()
        assert backoff.count == 0


async def test_what_is_typed_without_a_connection_is_sent_when_there_is_one(
    server: Scripted,
) -> None:
    """H5."""
    async with editing(server, "a") as (editor, session):
        session.cut()
        again = await server.session()
        editor.insert(1, "b")
        editor.insert(2, "c")
        await again.welcome(None, 1)
        push = await again.hear()
        assert push["updates"] == [[1, [0, "b"]], [2, [0, "c"]]]
        await again.order(push)
        await editor.confirmed()


async def test_a_wait_that_takes_too_long_tells_what_is_wrong(server: Scripted) -> None:
    async with editing(server, "a") as (editor, session):
        server.refusals.extend([(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": "no"}, {})] * 10_000)
        session.cut()
        with pytest.raises(TimeoutError, match=r"connection is down.*NotReady"):
            await editor.at(2, timeout_s=0.1)


async def test_a_closed_editor_raises_instead_of_waiting(server: Scripted) -> None:
    async with editing(server, "a") as (editor, _):
        await editor.close()
        await editor.close()
        with pytest.raises(CollabError, match="closed"):
            await editor.at(2)


# -- the pauses ---------------------------------------------------------------------------------


def test_pauses_grow_up_to_a_limit_and_shrink_after_a_sign_of_life() -> None:
    backoff = Backoff(first_s=1, max_s=4)
    for bound in (1, 2, 4, 4):
        assert 0 <= backoff.next_s() <= bound
    backoff.reset()
    assert backoff.next_s() <= 1
