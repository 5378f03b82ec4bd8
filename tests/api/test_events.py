"""The updates of a document as a stream of events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from collab.access.tokens import Tokens, User
from collab.api import event_stream
from collab.api.events import accepts_events
from collab.errors import Damaged
from collab.rooms import trail
from tests.serving import PATIENCE_S, SECRET, serving
from tests.standing import give

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    import httpx2

    from tests.peer import Peer
    from tests.serving import Serving

pytestmark = pytest.mark.usefixtures("peers_are_closed")


class Stream:
    """An open event stream. `next` waits for an event, and counts the heartbeats before it."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.heartbeats = 0
        self._parts = response.aiter_text()
        self._read = ""

    async def next(self) -> dict[str, str]:
        """The next event's fields. Raises `StopAsyncIteration` at the end of the stream."""
        while (block := await self._block()) == ":" or block.startswith("retry: "):
            self.heartbeats += block == ":"
        return dict(line.split(": ", 1) for line in block.split("\n"))

    async def _block(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while "\n\n" not in self._read:
                self._read += await anext(self._parts)
        block, _, self._read = self._read.partition("\n\n")
        return block

    async def take(self, count: int) -> list[dict[str, Any]]:
        """The data of the next events."""
        return [json.loads((await self.next())["data"]) for _ in range(count)]

    async def ended(self) -> list[dict[str, Any]]:
        """Wait for the end. Returns the data of the events before it."""
        rest = []
        with contextlib.suppress(StopAsyncIteration):
            while True:
                rest += await self.take(1)
        return rest


@contextlib.asynccontextmanager
async def streaming(
    server: Serving,
    it: str,
    last_event_id: str | None = None,
    token: str | None = None,
    **query: Any,
) -> AsyncIterator[Stream]:
    bearer = {"Authorization": f"Bearer {token}"} if token else await server.authorization()
    headers = {"Accept": "text/event-stream", **bearer}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    path = f"/v1/documents/{it}/updates"
    async with server.http.stream("GET", path, headers=headers, params=query) as response:
        if response.status_code != 200:
            await response.aread()
        assert response.status_code == 200, response.text
        yield Stream(response)


async def refused(
    server: Serving, it: str, last_event_id: str | None = None, **query: Any
) -> httpx2.Response:
    headers = {"Accept": "text/event-stream", **await server.authorization()}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    return await server.http.get(f"/v1/documents/{it}/updates", headers=headers, params=query)


async def pages(server: Serving, it: str) -> list[dict[str, Any]]:
    """All updates as the pages have them."""
    answer = await server.http.get(
        f"/v1/documents/{it}/updates?limit=1000", headers=await server.authorization()
    )
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def type_x(peer: Peer, count: int) -> None:
    """So many updates at the end of the text, each of them an `x`, seen through."""
    for _ in range(count):
        before = peer.revision
        await peer.push([*([before] if before else []), [0, "x"]])
        await peer.heard(before + 1)


async def test_what_there_is_comes_first_and_then_each_update_as_it_is_shown(
    server: Serving,
) -> None:
    it = await server.document()
    peer = await server.join(it)
    await type_x(peer, 3)
    async with streaming(server, it) as stream:
        assert [update["revision"] for update in await stream.take(3)] == [1, 2, 3]
        await type_x(peer, 2)
        assert [update["revision"] for update in await stream.take(2)] == [4, 5]


async def test_an_event_is_the_item_of_the_pages_under_its_revision(server: Serving) -> None:
    it = await server.document("Hello\nworld")
    peer = await server.join(it, "Bob")
    async with streaming(server, it) as stream:
        await peer.push([11, [0, '\u2028 "\u00e9" \U0001f600']])
        first, second = await stream.next(), await stream.next()
    for number, event in enumerate((first, second), 1):
        assert list(event) == ["id", "event", "data"]
        assert (event["id"], event["event"]) == (str(number), "update")
    items = [json.loads(first["data"]), json.loads(second["data"])]
    assert items == await pages(server, it)
    assert items[1]["author"]["name"] == "Bob"


async def test_it_is_neither_stored_nor_compressed_nor_held_back(server: Serving) -> None:
    it = await server.document("x" * 10_000)
    async with streaming(server, it) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in headers
        assert "content-length" not in headers
        assert len(await stream.take(1)) == 1


@pytest.mark.parametrize(
    ("accept", "events"),
    [
        ("text/event-stream", True),
        ("TEXT/Event-Stream; q=0.5", True),
        ("application/json, text/event-stream", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.00", False),
        ("application/json", False),
        ("text/*", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_it_is_for_whom_names_event_streams(accept: str, *, events: bool) -> None:
    assert accepts_events(Headers({"accept": accept})) == events


async def test_without_the_header_it_is_pages(server: Serving) -> None:
    assert await pages(server, await server.document()) == []


async def test_it_begins_after_a_revision(server: Serving) -> None:
    it = await server.document()
    await type_x(await server.join(it), 4)
    async with streaming(server, it, after=2) as stream:
        assert [update["revision"] for update in await stream.take(2)] == [3, 4]


async def test_the_last_event_id_wins_over_after(server: Serving) -> None:
    it = await server.document()
    await type_x(await server.join(it), 4)
    async with streaming(server, it, "3", after=1) as stream:
        assert [update["revision"] for update in await stream.take(1)] == [4]


async def test_whoever_comes_back_again_and_again_misses_and_repeats_nothing(
    server: Serving,
) -> None:
    it = await server.document()
    peer = await server.join(it)
    typing = asyncio.create_task(type_x(peer, 40))
    heard: list[int] = []
    while len(heard) < 40:
        last = str(heard[-1]) if heard else None
        async with streaming(server, it, last) as stream:
            wanted = min(7, 40 - len(heard))
            heard += [update["revision"] for update in await stream.take(wanted)]
    await typing
    assert heard == list(range(1, 41))


async def test_a_reader_that_falls_behind_what_the_room_keeps_is_fed_from_the_database(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MAX_KEPT", 3)
    monkeypatch.setattr(trail, "MAX_PAGE", 2)
    it = await server.document()
    peer = await server.join(it)
    async with streaming(server, it) as stream:
        await peer.push(*[[*([n] if n else []), [0, "x"]] for n in range(50)])
        await peer.heard(50)
        assert [update["revision"] for update in await stream.take(50)] == list(range(1, 51))
        await type_x(peer, 5)
        assert [update["revision"] for update in await stream.take(5)] == list(range(51, 56))


async def test_the_updates_of_several_authors_bear_their_names(server: Serving) -> None:
    it = await server.document()
    async with streaming(server, it) as stream:
        for name in ("Ada", "Bob", "Cyd", "Ada"):
            peer = await server.join(it, name)
            await type_x(peer, 1)
        assert [update["author"]["name"] for update in await stream.take(4)] == [
            "Ada",
            "Bob",
            "Cyd",
            "Ada",
        ]


async def test_a_quiet_stream_has_a_heartbeat(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.7) as server:
        it = await server.document()
        async with streaming(server, it) as stream:
            waiting = asyncio.create_task(stream.take(1))
            while stream.heartbeats < 2:
                await asyncio.wait([waiting], timeout=0.05)
            peer = await server.join(it)
            await type_x(peer, 1)
            assert (await waiting)[0]["revision"] == 1


async def test_it_holds_the_room_open(tmp_path: Path) -> None:
    async with serving(tmp_path, room_idle_s=0, heartbeat_s=0.7) as server:
        it = await server.document()
        async with streaming(server, it) as stream:
            waiting = asyncio.create_task(stream.take(1))
            while stream.heartbeats < 2:
                await asyncio.wait([waiting], timeout=0.05)
            assert not waiting.done()
            headers = {"If-Match": "*", "Content-Type": "text/plain"}
            await server.http.put(
                f"/v1/documents/{it}/text",
                content="x",
                headers={**headers, **await server.authorization()},
            )
            assert (await waiting)[0]["changes"] == [[0, "x"]]
        await server.closed(it)


async def test_it_takes_a_place_among_the_sessions_until_its_client_goes(tmp_path: Path) -> None:
    async with serving(tmp_path, max_sessions=1) as server:
        it = await server.document("x")
        async with streaming(server, it) as stream:
            await stream.take(1)
            answer = await refused(server, it)
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
            assert "retry-after" in answer.headers
        await server.left()
        async with streaming(server, it) as stream:
            await stream.take(1)


async def test_it_ends_when_the_document_is_deleted(server: Serving) -> None:
    it = await server.document("x")
    async with streaming(server, it) as stream:
        await stream.take(1)
        await server.http.delete(f"/v1/documents/{it}", headers=await server.authorization())
        assert await stream.ended() == []
    assert (await refused(server, it)).status_code == 404


async def test_it_ends_when_the_server_goes_down(tmp_path: Path) -> None:
    """And the server does not wait for the end of what has none: `serving` waits less long."""
    async with (
        serving(tmp_path, shutdown_s=PATIENCE_S + 1) as server,
        streaming(server, await server.document("x")) as stream,
    ):
        await stream.take(1)
        server.stop()
        assert await stream.ended() == []


async def test_it_ends_with_the_token(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.7) as server:
        it = await server.document("x")
        dying, _ = Tokens(SECRET, 0, lambda: time.time() - 2).issue(User("a", "A", guest=True))
        async with streaming(server, it, token=dying) as stream:
            await stream.take(1)
            assert await stream.ended() == []


class Stalled:
    """A client that asks for a stream and reads nothing of it."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    async def ask(self, it: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self._server.port))
        token = await self._server.token()
        asked = (
            f"GET /v1/documents/{it}/updates HTTP/1.1\r\nHost: localhost\r\n"
            f"Accept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        await loop.sock_sendall(self.socket, asked.encode())
        assert (await loop.sock_recv(self.socket, 15)).startswith(b"HTTP/1.1 200")

    async def read_slowly(self) -> bytes:
        """A little at a time, up to the end of the event of revision 2."""
        loop = asyncio.get_running_loop()
        read = b""
        while b"id: 2" not in read or not read.endswith(b"\n\n\r\n"):
            part = await loop.sock_recv(self.socket, 64 * 1024)
            assert part, "cut off"
            read += part
            await asyncio.sleep(0.01)
        return read


async def long_document(server: Serving) -> str:
    """One whose updates are more than the kernel holds for a client that does not read."""
    it = await server.document("x" * 10)
    headers = {"If-Match": "*", "Content-Type": "text/plain", **await server.authorization()}
    for n in range(10):
        text = f"{n}" * 1_000_000
        path = f"/v1/documents/{it}/text"
        (await server.http.put(path, content=text, headers=headers)).raise_for_status()
    return it


async def test_a_reader_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, stall_s=0.2) as server:
        it = await long_document(server)
        reader = Stalled(server)
        with reader.socket:
            await reader.ask(it)
            await server.left()


async def test_a_reader_that_reads_however_slowly_is_not(tmp_path: Path) -> None:
    """What waits for it takes far longer to read than a reader may stall."""
    async with serving(tmp_path, stall_s=0.2) as server:
        it = await server.document("x" * 300_000)
        headers = {"If-Match": "*", "Content-Type": "text/plain", **await server.authorization()}
        await server.http.put(f"/v1/documents/{it}/text", content="y" * 300_000, headers=headers)
        reader = Stalled(server)
        with reader.socket:
            await reader.ask(it)
            assert len(await reader.read_slowly()) > 600_000


async def test_the_server_going_down_waits_for_nobody_who_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "CLOSE_TIMEOUT_S", 0.1)
    with contextlib.ExitStack() as stack:
        async with serving(tmp_path, shutdown_s=PATIENCE_S + 1) as server:
            reader = Stalled(server)
            stack.enter_context(reader.socket)
            await reader.ask(await long_document(server))


@pytest.mark.parametrize("last_event_id", ["", "x", "-1", "1.5", "1" * 17])
async def test_what_is_no_event_id_is_refused(server: Serving, last_event_id: str) -> None:
    answer = await refused(server, await server.document(), last_event_id)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("query", [{"after": -1}, {"limit": 5}, {"cursor": "1"}, {"after": 2**53}])
async def test_what_is_not_as_documented_is_refused(server: Serving, query: dict[str, Any]) -> None:
    answer = await refused(server, await server.document(), **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def chunks() -> AsyncIterator[bytes]:
    yield b"x"


@pytest.mark.parametrize("body", [b"x", chunks()], ids=["told", "in chunks"])
async def test_a_body_is_refused_before_the_answer_begins(
    server: Serving, body: bytes | AsyncIterator[bytes]
) -> None:
    headers = {"Accept": "text/event-stream", **await server.authorization()}
    path = f"/v1/documents/{await server.document()}/updates"
    async with server.http.stream("GET", path, headers=headers, content=body) as response:
        assert response.status_code == 400
        await response.aread()
    assert response.json()["code"] == "bad_request"


async def test_a_client_that_sends_too_much_all_the_same_ends_it() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        await asyncio.Event().wait()
        yield b""

    async def receive() -> dict[str, Any]:
        raise HTTPException(413)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await event_stream.EventStream(events(), 1)({"type": "http"}, receive, send)
    assert sent[-1] == {"type": "http.response.body"}


async def test_it_ends_when_the_history_cannot_be_read(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(*_: object) -> None:
        raise Damaged("it does not fit together")

    it = await server.document("x")
    monkeypatch.setattr("collab.storage.history.updates", damaged)
    async with streaming(server, it) as stream:
        assert await stream.ended() == []


async def test_a_revision_that_does_not_exist_is_not_found(server: Serving) -> None:
    answer = await refused(server, await server.document("x"), after=2)
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no revision 2")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_it_needs_a_token(server: Serving) -> None:
    it = await server.document()
    answer = await server.http.get(
        f"/v1/documents/{it}/updates", headers={"Accept": "text/event-stream"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("told", [True, False])
async def test_x2_it_ends_when_its_reader_may_read_no_more(tmp_path: Path, told: bool) -> None:
    async with serving(tmp_path, access_check_s=0.1) as server:
        it = await server.document("x")
        bob = await server.token("Bob")
        async with streaming(server, it, token=bob) as theirs, streaming(server, it) as mine:
            await theirs.take(1)
            await give(server, it, "Bob", "viewer", told=told)
            peer = await server.join(it)
            await type_x(peer, 1)
            await theirs.take(1)
            await give(server, it, "Bob", "removed", told=told)
            assert await theirs.ended() == []
            await type_x(peer, 1)
            assert len(await mine.take(3)) == 3
