"""Clients that take their time, or never say what they came for (L1, H2)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from collab.api import door
from collab.api.door import FAIR_S, Door
from collab.settings import Limits
from tests.live.raw import Raw, upgrade
from tests.serving import PATIENCE_S, Serving, serving

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/auth/guest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

SLOW: dict[str, Any] = {"slow_request_s": 0.2}


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LOOK_EVERY_S", 0.05)


async def rest_of(raw: Raw) -> bytes:
    """What comes in until the connection ends, as it does."""
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while data := await raw.reader.read(65_536):
                received += data
        except ConnectionError:
            pass
    return received


async def refusal(raw: Raw) -> tuple[int, str]:
    """The status and the code of the problem that a connection ends with."""
    head, body = (await rest_of(raw)).split(b"\r\n\r\n")
    assert b"connection: close" in head
    problem = json.loads(body)
    assert head.split()[1].decode() == str(problem["status"])
    return problem["status"], problem["code"]


async def trickle(raw: Raw, data: bytes) -> None:
    """Send byte by byte, until the other end has enough of it."""
    for byte in data:
        if raw.reader.at_eof():
            return
        raw.send(bytes([byte]))
        await asyncio.sleep(0.01)  # it is slow


# -- Slow requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["request", "handshake"])
async def test_h2_a_head_that_does_not_end_is_answered_408(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, **SLOW) as server:
        raw = await Raw.open(server.port)
        begun = HEAD if kind == "request" else upgrade("/v1/documents/d/live", server.port)
        sending = asyncio.create_task(trickle(raw, begun[:-2] + b"x: " + b"x" * 5_000))
        assert await refusal(raw) == (408, "too_slow")
        sending.cancel()


@pytest.mark.parametrize("said", [b"", b"\r\n"], ids=["nothing", "an empty line"])
async def test_who_says_nothing_is_ended_without_a_word(tmp_path: Path, said: bytes) -> None:
    async with serving(tmp_path, **SLOW) as server:
        raw = await Raw.open(server.port)
        raw.send(said)
        assert await rest_of(raw) == b""


@pytest.mark.parametrize("said", [b"GET /hea", b"\r\n"], ids=["a head", "an empty line"])
async def test_a_second_request_has_to_come_in_time_too(tmp_path: Path, said: bytes) -> None:
    async with serving(tmp_path, **SLOW) as server:
        raw = await Raw.open(server.port)
        raw.send(HEAD)
        assert (await raw.answer_head())[0] == 200
        raw.send(said)
        assert (b"HTTP/1.1 408 " in await rest_of(raw)) == (said != b"\r\n")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
async def test_a_body_that_does_not_come_is_answered_408(tmp_path: Path, framing: bytes) -> None:
    async with serving(tmp_path, **SLOW) as server:
        raw = await Raw.open(server.port)
        raw.send(POST + framing)
        assert await refusal(raw) == (408, "too_slow")


async def test_a_body_that_comes_slowly_but_steadily_is_taken(tmp_path: Path) -> None:
    """It takes longer than a body that does not come at all would have."""
    async with serving(tmp_path, slow_request_s=1.5, min_bytes_per_second=1) as server:
        raw = await Raw.open(server.port)
        body = b'{"name":' + b" " * 30 + b'"Ada"}'
        raw.send(POST + b"Content-Length: %d\r\n\r\n" % len(body))
        for byte in body:
            raw.send(bytes([byte]))
            await asyncio.sleep(0.04)  # it is slow
        assert (await raw.answer_head())[0] == 200


async def test_what_is_left_of_a_body_that_nobody_wants_is_not_waited_for(tmp_path: Path) -> None:
    async with serving(tmp_path, max_body_bytes=1_024, **SLOW) as server:
        raw = await Raw.open(server.port)
        raw.send(POST + b"Content-Length: 1000000\r\n\r\n{")
        answer = await rest_of(raw)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"too_slow" not in answer


@pytest.mark.parametrize(
    "endless",
    [
        HEAD[:-2] + b"x: " + b"x" * 1_000_000,
        b"GET /" + b"x" * 1_000_000,
        HEAD[:-2] + b"x: y\r\n" * 200_000,
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 200_000,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 1_000_000,
    ],
    ids=["a header", "an address", "headers", "trailers", "a chunk's extension"],
)
async def test_l1_a_head_has_an_end(server: Serving, endless: bytes) -> None:
    raw = await Raw.open(server.port)
    raw.send(endless)
    assert b"HTTP/1.1 4" in await rest_of(raw)
    assert (await server.http.get("/healthz")).status_code == 200


# -- Slow readers of an answer ------------------------------------------------------------------


async def test_who_does_not_read_an_answer_is_cut_off(tmp_path: Path) -> None:
    """Nor is the answer held for it meanwhile."""
    text = "x" * 8_000_000
    async with serving(tmp_path, stall_s=0.3) as server:
        document_id = await server.document(text)
        raw = await Raw.open(server.port)
        authorization = (await server.authorization())["Authorization"]
        path = f"/v1/documents/{document_id}/text"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n"
        raw.send(head.encode())
        assert (await raw.answer_head())[0] == 200
        raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
        most_unsent = 0
        async with asyncio.timeout(PATIENCE_S):
            while server.connections > 1:  # nobody tells of it
                most_unsent = max(most_unsent, server.unsent)
                await asyncio.sleep(0.01)
        assert 0 < most_unsent < 1_000_000
        raw.reader._transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await rest_of(raw)) < len(text)
        assert await server.text(document_id) == text


# -- Too many connections -----------------------------------------------------------------------


async def test_l1_connections_without_a_request_give_way_to_whoever_comes(tmp_path: Path) -> None:
    async with serving(tmp_path, max_connections=20) as server:
        document_id = await server.document()
        ada = await server.join(document_id)
        silent = [await Raw.open(server.port) for _ in range(50)]
        bob = await server.join(document_id, "Bob")
        await bob.push([[0, "x"]])
        await ada.hear("updates")
        for raw in silent[:30]:
            assert await rest_of(raw) == b""
        silent[-1].send(HEAD)
        assert (await silent[-1].answer_head())[0] == 200


async def test_l1_connections_that_rest_give_way_after_those_without_a_request(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, max_connections=2) as server:
        resting, silent = await Raw.open(server.port), await Raw.open(server.port)
        resting.send(HEAD)
        assert (await resting.answer_head())[0] == 200
        assert (await server.http.get("/healthz")).status_code == 200
        assert await rest_of(silent) == b""
        assert (await server.http.get("/healthz")).status_code == 200
        another = await Raw.open(server.port)
        await rest_of(resting)
        another.send(HEAD)
        assert (await another.answer_head())[0] == 200


async def test_l1_where_all_connections_are_in_use_another_is_answered_503(tmp_path: Path) -> None:
    async with serving(tmp_path, max_connections=2) as server:
        document_id = await server.document()
        await server.http.aclose()
        token = await server.token()
        peers = [await Raw.join(server.port, document_id, token) for _ in range(2)]
        one_more = await Raw.open(server.port)
        assert await refusal(one_more) == (503, "unavailable")
        for peer in peers:
            await peer.hear("welcome")


async def test_l1_an_address_has_so_many_connections_without_a_request(tmp_path: Path) -> None:
    async with serving(tmp_path, max_half_open=3) as server:
        silent = [await Raw.open(server.port) for _ in range(5)]
        for raw in silent[:2]:
            assert await rest_of(raw) == b""
        for raw in silent[2:]:
            raw.send(HEAD)
            assert (await raw.answer_head())[0] == 200


class Guest:
    """A connection that notes what becomes of it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.ends: list[str] = []

    def head_is_late(self) -> None:
        self.ends.append("late")

    def check(self, now: float) -> None: ...

    def cut(self) -> None:
        self.ends.append("cut")


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the door takes for the time, in seconds; it looks when it is told to."""
    now = [0.0]
    monkeypatch.setattr(Door, "_now", staticmethod(lambda: now[0]))
    monkeypatch.setattr(Door, "_look_later", lambda _: None)
    return now


def test_l1_one_address_takes_nothing_from_another(moment: list[float]) -> None:
    guarded = Door(Limits(max_half_open=1), max_connections=10)
    ada, bob, cyd = Guest("192.0.2.1"), Guest("192.0.2.1"), Guest("192.0.2.2")
    for guest in (ada, cyd, bob):
        guarded.awaits(guest)
    moment[0] = FAIR_S
    guarded._look()
    assert [guest.ends for guest in (ada, bob, cyd)] == [["cut"], [], []]
    guarded.gone(bob)
    dan = Guest("192.0.2.1")
    guarded.awaits(dan)
    moment[0] += FAIR_S
    guarded._look()
    assert [guest.ends for guest in (bob, cyd, dan)] == [[], [], []]


def test_l1_of_a_crowd_that_comes_at_once_nobody_is_cut_off_at_once(moment: list[float]) -> None:
    guarded = Door(Limits(max_half_open=1), max_connections=10)
    crowd = [Guest("192.0.2.1") for _ in range(5)]
    for guest in crowd:
        guarded.awaits(guest)
    moment[0] = FAIR_S - 0.1
    guarded._look()
    for guest in crowd[1:]:
        guarded.serves(guest)
    moment[0] = FAIR_S
    guarded._look()
    assert [guest.ends for guest in crowd] == [[]] * 5
