"""The handshake (H1 to H9)."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from sqlalchemy.exc import DisconnectionError
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed

from collab.access.tokens import Tokens, User
from collab.errors import Unavailable
from collab.storage.sqlite import SQLiteDatabase
from tests.live.raw import PING, PONG, Raw, frame, upgrade
from tests.peer import Peer
from tests.serving import SECRET, Serving, serving

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = {
    "max_message_bytes",
    "max_document_units",
    "max_updates_per_push",
    "max_sections_per_push",
    "max_ranges",
    "pushes_per_second",
    "presence_hz",
    "heartbeat_s",
}


async def test_h1_a_client_that_can_set_headers_sends_its_token_there(server: Serving) -> None:
    document_id = await server.document()
    headers = await server.authorization()
    peer = await Peer.join(server.port, document_id, "", headers=headers)
    assert peer.welcome["role"] == "owner"
    await peer.leave()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"client": "short"}, 400, "bad_request"),
        ({"client": "x" * 65}, 400, "bad_request"),
        ({"client": "with spaces in it, no"}, 400, "bad_request"),
        ({"revision": "1"}, 400, "bad_request"),
        ({"mark": "abc"}, 400, "bad_request"),
        ({"revision": "-1", "mark": "abc"}, 400, "bad_request"),
        ({"revision": "one", "mark": "abc"}, 400, "bad_request"),
        ({"revision": str(2**53), "mark": "abc"}, 400, "bad_request"),
        ({"inflight": "1.5"}, 400, "bad_request"),
        ({"inflight": ""}, 400, "bad_request"),
        ({"token": "no.token.this"}, 401, "unauthorized"),
        ({"headers": {"Origin": "http://elsewhere.example"}}, 403, "forbidden"),
        ({"headers": {"Origin": "null"}}, 403, "forbidden"),
        ({"headers": {"Origin": "http://["}}, 403, "forbidden"),
        ({"headers": {"Origin": ""}}, 403, "forbidden"),
    ],
)
async def test_h2_a_handshake_is_refused_with_a_problem_before_it_is_accepted(
    server: Serving, query: dict[str, Any], status: int, code: str
) -> None:
    answer, problem = await server.refusal(await server.document(), **query)
    assert (answer, problem["status"], problem["code"]) == (status, status, code)


async def test_h2_an_expired_token_is_refused(server: Serving) -> None:
    old = Tokens(SECRET, ttl_s=60, clock=lambda: 1_000_000)
    token, _ = old.issue(User("somebody", "Ada", guest=True))
    status, problem = await server.refusal(await server.document(), token=token)
    assert (status, problem["detail"]) == (401, "the token has expired")


async def test_h2_a_document_that_is_not_there_is_answered_404(server: Serving) -> None:
    status, problem = await server.refusal("nothing-is-here")
    assert (status, problem["code"]) == (404, "not_found")


async def test_h2_tokens_and_client_ids_never_reach_a_log(
    server: Serving, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "collab")
    caplog.set_level(logging.DEBUG, "asyncio")
    document_id = await server.document()
    client_id = secrets.token_urlsafe(20)
    peer = await server.join(document_id, client=client_id)
    await peer.leave()
    await server.refusal("nothing-is-here", client=client_id)
    printed = capfd.readouterr()
    logged = (
        printed.out
        + printed.err
        + "".join(
            record.getMessage() for record in caplog.records if record.name.startswith("collab")
        )
    )
    assert await server.token() not in logged
    assert client_id not in logged


async def test_h3_a_page_of_the_servers_own_origin_is_welcome(server: Serving) -> None:
    peer = await server.join(await server.document(), headers={"Origin": server.url})
    await peer.leave()


async def test_h3_a_page_of_an_allowed_origin_is_welcome(tmp_path: Path) -> None:
    origin = "https://notes.example"
    async with serving(tmp_path, allowed_origins=(origin,)) as server:
        peer = await server.join(await server.document(), headers={"Origin": origin})
        await peer.leave()


async def test_h4_a_fresh_start_brings_the_text(server: Serving) -> None:
    document_id = await server.document("grüße 👋\n\nAda")
    peer = await server.join(document_id)
    welcome = peer.welcome
    assert welcome["protocol"] == 1
    assert welcome["text"] == "grüße 👋\n\nAda"
    assert welcome["revision"] == welcome["head"] == welcome["saved"] == 1
    assert welcome["role"] == "owner"
    assert set(welcome["limits"]) == LIMITS
    assert welcome["presence"] == []
    assert "reset" not in welcome
    assert "inflight" not in welcome
    assert welcome["client"] != peer.client_id
    assert isinstance(welcome["session"], str)
    await peer.leave()


async def test_h4_whoever_knows_the_document_is_an_editor(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id, "Bob")
    assert peer.welcome["role"] == "editor"
    await peer.leave()


async def test_h4_the_public_name_of_a_client_stays_the_same(server: Serving) -> None:
    document_id = await server.document()
    first = await server.join(document_id)
    await first.leave()
    again = await server.join(document_id, client=first.client_id)
    other = await server.join(document_id)
    assert first.name == again.name != other.name
    await again.leave()
    await other.leave()


async def test_h5_a_resume_brings_what_was_missed_update_by_update(server: Serving) -> None:
    document_id = await server.document("ab")
    away, typist = await server.join(document_id), await server.join(document_id)
    await away.leave()
    for length in (2, 3):
        await typist.push([length, [0, "x"]])
        await typist.hear("updates")
    back = await server.join(
        document_id, client=away.client_id, revision=away.revision, mark=away.mark
    )
    assert "text" not in back.welcome
    assert "reset" not in back.welcome
    assert (back.welcome["revision"], back.welcome["mark"]) == (1, away.mark)
    assert back.welcome["head"] == 3
    assert await back.heard(3) == [(typist.name, 1, [2, [0, "x"]]), (typist.name, 2, [3, [0, "x"]])]
    assert back.mark == typist.mark
    await back.leave()
    await typist.leave()


async def test_h5_a_resume_at_the_head_brings_nothing(server: Serving) -> None:
    document_id = await server.document("ab")
    peer = await server.join(document_id)
    back = await server.join(document_id, revision=peer.revision, mark=peer.mark)
    assert back.welcome["head"] == back.welcome["revision"] == 1
    assert "text" not in back.welcome
    await peer.leave()
    await back.leave()


async def test_h5_a_resume_at_revision_0_is_served(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    start = peer.mark
    await peer.push([[0, "a"]])
    await peer.hear("updates")
    back = await server.join(document_id, revision=0, mark=start)
    assert await back.heard(1) == [(peer.name, 1, [[0, "a"]])]
    await peer.leave()
    await back.leave()


@pytest.mark.parametrize("revision", [0, 1, 2, 7])
async def test_h6_a_resume_on_another_history_is_reset(server: Serving, revision: int) -> None:
    document_id = await server.document("ab")
    peer = await server.join(document_id, revision=revision, mark="of another history")
    assert peer.welcome["reset"] is True
    assert peer.welcome["text"] == "ab"
    assert peer.welcome["revision"] == 1
    await peer.leave()


@pytest.mark.parametrize("revision", [1, 2])
async def test_h8_no_resume_is_reset_before_the_logs_end_is_known(
    server: Serving, monkeypatch: pytest.MonkeyPatch, revision: int
) -> None:
    """A server that slept through a loss of Redis may be the one that has another history."""

    async def catch_up() -> None:
        raise Unavailable("the end of the log is not known now")

    document_id = await server.document("ab")
    peer = await server.join(document_id)
    monkeypatch.setattr(server.room(document_id).feed, "catch_up", catch_up)
    status, problem = await server.refusal(document_id, revision=revision, mark="m")
    assert (status, problem["code"]) == (503, "unavailable")
    await peer.leave()


async def test_h6_a_resume_inside_a_push_is_reset(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    await peer.push([[0, "a"]], [1, [0, "b"]])
    await peer.hear("updates")
    back = await server.join(document_id, revision=1, mark=peer.mark)
    assert back.welcome["reset"] is True
    await peer.leave()
    await back.leave()


async def test_h7_a_push_that_took_effect_is_told_ordered(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    start = peer.mark
    seq = await peer.push([[0, "a"]])
    await peer.hear("updates")
    peer.cut()
    back = await server.join(
        document_id, client=peer.client_id, revision=0, mark=start, inflight=seq
    )
    assert back.welcome["inflight"] == "ordered"
    assert await back.heard(1) == [(peer.name, seq, [[0, "a"]])]
    await back.leave()


async def test_h7_a_push_that_never_came_is_told_void(server: Serving) -> None:
    document_id = await server.document("x")
    peer = await server.join(document_id)
    peer.cut()
    back = await server.join(document_id, client=peer.client_id, inflight=9)
    assert back.welcome["inflight"] == "void"
    assert back.welcome["text"] == "x"
    # Its next push has the next seq; the one that was settled is used up.
    await back.push([1, [0, "y"]], seq=10)
    assert (await back.hear("updates"))["updates"] == [[peer.name, 10, [1, [0, "y"]]]]
    await back.leave()


async def test_h7_a_settled_push_cannot_be_sent_again(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    back = await server.join(document_id, client=peer.client_id, inflight=5)
    await back.push([[0, "a"]], seq=5)
    assert await back.closed() == 4400
    assert await server.text(document_id) == ""


async def test_h7_a_seq_that_was_used_is_not_used_again(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    seq = await peer.push([[0, "a"]])
    await peer.hear("saved")
    peer.cut()
    back = await server.join(document_id, client=peer.client_id)
    await back.push([1, [0, "b"]], seq=seq)
    assert await back.closed() == 4400


async def test_a_handshake_in_an_open_document_asks_the_database_once(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = await server.document()
    await server.join(document_id)
    asked = []
    look_up = SQLiteDatabase.look_up

    async def counted(*args: Any) -> Any:
        asked.append(args)
        return await look_up(*args)

    monkeypatch.setattr(SQLiteDatabase, "look_up", counted)
    await server.join(document_id)
    assert len(asked) == 1


async def test_h5_who_comes_back_to_an_open_room_needs_no_database(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = await server.document("text")
    peer = await server.join(document_id)
    place: dict[str, Any] = {"client": peer.client_id, "revision": 1, "mark": peer.mark}
    seq = await peer.push([4, [0, "!"]])
    await peer.hear("saved")
    peer.cut()

    async def gone(*_: object) -> None:
        raise DisconnectionError("the database file is gone")

    with monkeypatch.context() as patch:
        patch.setattr(SQLiteDatabase, "look_up", gone)
        for inflight, fate in ((seq, "ordered"), (seq + 1, "void")):
            back = await server.join(document_id, **place, inflight=inflight)
            assert (back.welcome["inflight"], back.welcome["role"]) == (fate, "owner")
            assert (await back.hear("updates"))["updates"] == [[peer.name, seq, [4, [0, "!"]]]]
            await back.leave()
        for query in ({}, {"token": await server.token("Bob"), **place}):
            status, problem = await server.refusal(document_id, **query)
            assert (status, problem["code"]) == (503, "unavailable")


async def test_h7_a_fate_is_known_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        document_id, token = await server.document(), await server.token()
        peer = await server.join(document_id)
        seq = await peer.push([[0, "a"]])
        await peer.hear("updates")
        peer.cut()
    async with serving(tmp_path) as server:
        fates = []
        for named in (seq, seq + 1):
            back = await Peer.join(
                server.port, document_id, token, client=peer.client_id, inflight=named
            )
            fates.append(back.welcome["inflight"])
            await back.leave()
        assert fates == ["ordered", "void"]


async def open_deflated(server: Serving, document_id: str, asked: str | None) -> Raw:
    """A session whose client asked for this extension."""
    query = urlencode({"token": await server.token(), "client": secrets.token_urlsafe(16)})
    raw = await Raw.open(server.port)
    path = f"/v1/documents/{document_id}/live?{query}"
    raw.send(upgrade(path, server.port, {"Sec-WebSocket-Extensions": asked}))
    assert (await raw.answer_head())[0] == 101
    return raw


def inflated(payload: bytes) -> bytes:
    """A deflated message (RFC 7692, 7.2.2)."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + b"\x00\x00\xff\xff")


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("permessage-deflate", 0xC1),
        ("permessage-deflate; client_max_window_bits", 0xC1),
        ("permessage-deflate; server_max_window_bits=10", 0x81),
        (None, 0x81),
    ],
)
async def test_h4_a_long_text_comes_deflated_to_who_can_read_it_so(
    server: Serving, asked: str | None, first: int
) -> None:
    """Nearly as small as the text alone, and made once for all: so nobody may ask for less memory,
    but gets it as it is.
    """
    text = "".join(f"line {number} of a long text\n" for number in range(20_000))
    document_id = await server.document(text)
    raw = await open_deflated(server, document_id, asked)
    assert (await raw.next())[0] == PING
    head, payload = await raw.next_whole()
    assert head == first
    if first == 0xC1:
        assert len(payload) < len(zlib.compress(text.encode())) + 1_024
        payload = inflated(payload)
    assert json.loads(payload)["text"] == text


async def test_u1_what_is_long_comes_deflated_to_who_can_read_it_so(server: Serving) -> None:
    document_id = await server.document()
    raw = await open_deflated(server, document_id, "permessage-deflate")
    writer = await server.join(document_id)
    await writer.push([[0, "a long line " * 1_000]])
    while (frame := await raw.next_whole())[0] != 0xC1:
        pass
    message = json.loads(inflated(frame[1]))
    assert (message["type"], message["revision"]) == ("updates", 1)
    assert "a long line " * 1_000 in str(message["updates"])


async def test_h7_a_push_under_way_is_settled_before_the_welcome(server: Serving) -> None:
    """Many times over, the old connection's push races the new one's handshake: whatever the
    welcome says is what the history holds, then and later.
    """
    document_id = await server.document()
    told = {}
    client_id = secrets.token_urlsafe(16)
    for seq in range(1, 30):
        old = await server.join(document_id, client=client_id)
        pushing = asyncio.create_task(
            old.push([[0, f"<{seq}>"]], seq=seq, revision=old.revision)
            if not old.welcome["text"]
            else old.push([[0, f"<{seq}>"], len(old.welcome["text"])], seq=seq)
        )
        new = await server.join(document_id, client=client_id, inflight=seq)
        await asyncio.wait([pushing])
        told[seq] = new.welcome["inflight"]
        assert (f"<{seq}>" in new.welcome["text"]) == (told[seq] == "ordered")
        await new.leave()
    text = await server.text(document_id)
    assert {seq: "ordered" if f"<{seq}>" in text else "void" for seq in told} == told


async def test_h7_an_older_session_of_the_client_is_ended(server: Serving) -> None:
    document_id = await server.document()
    older = await server.join(document_id)
    newer = await server.join(document_id, client=older.client_id)
    assert await older.closed() == 4409
    await newer.push([[0, "still here"]])
    await newer.hear("updates")
    await newer.leave()


async def test_h7_who_does_not_answer_replaces_nobody(server: Serving) -> None:
    """Its handshake was long under way, and its client has come anew since."""
    document_id = await server.document()
    living = await server.join(document_id)
    token = await server.token()
    late = await Raw.join(server.port, document_id, token, client=living.client_id, inflight=1)
    assert (await late.next())[0] == PING
    await living.push([[0, "still here"]], seq=2)
    await living.hear("updates")
    late.send(frame(PONG))
    assert await living.closed() == 4409


async def test_h7_what_is_settled_is_not_taken_from_the_older_session(server: Serving) -> None:
    document_id = await server.document()
    older = await server.join(document_id)
    token = await server.token()
    newer = await Raw.join(server.port, document_id, token, client=older.client_id, inflight=1)
    await older.push([[0, "too late"]], seq=1)
    assert await older.closed() == 4409
    assert (await newer.next())[0] == PING
    assert (await newer.hear("welcome"))["inflight"] == "void"
    assert await server.text(document_id) == ""


async def test_h9_a_server_that_goes_down_says_goodbye(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        peers = [await server.join(await server.document()) for _ in range(3)]
    waits = []
    for peer in peers:
        waits.append((await peer.hear("goodbye"))["retry_after_ms"])
        with pytest.raises(ConnectionClosed):
            await peer.next()
        assert peer.connection.close_code == 1012
    assert all(0 < wait <= 60_000 for wait in waits)


async def test_the_protocol_is_spoken_under_any_asgi_server(tmp_path: Path) -> None:
    """Where no frames can be written to the socket, messages are sent one by one."""
    async with serving(tmp_path, ws=WebSocketsSansIOProtocol) as server:
        document_id = await server.document()
        typist, reader = await server.join(document_id), await server.join(document_id)
        for length in range(20):
            await typist.push([length, [0, "x"]] if length else [[0, "x"]])
            await typist.hear("updates")
        assert len(await reader.heard(20)) == 20
        await typist.push([3])
        assert (await typist.hear("refused"))["code"] == "invalid_change"
        await typist.send({"type": "nonsense"})
        assert await typist.closed() == 4400
        await reader.leave()


@pytest.mark.parametrize(
    ("limit", "who", "where"),
    [
        ("max_sessions", "Bob", 1),
        ("max_user_sessions", "Ada", 1),
        ("max_document_sessions", "Bob", 0),
    ],
)
async def test_h2_a_handshake_where_there_are_enough_is_answered_429(
    tmp_path: Path, limit: str, who: str, where: int
) -> None:
    """L1. There is a place for it when a session is gone."""
    limits: dict[str, Any] = {limit: 1}
    async with serving(tmp_path, **limits) as server:
        documents = [await server.document(), await server.document()]
        document_id = documents[0]
        peer = await server.join(document_id)
        token = await server.token(who)
        status, problem = await server.refusal(documents[where], token=token)
        assert (status, problem["code"]) == (429, "rate_limited")
        assert problem["retry_after_ms"] > 0
        if limit != "max_sessions":
            await (await server.join(documents[1], "Bob")).leave()
        await peer.push([[0, "x"]])
        await peer.hear("updates")
        await peer.leave()
        await server.left()
        await (await server.join(documents[where], who)).leave()


async def test_h2_too_many_handshakes_from_an_address_are_answered_429(tmp_path: Path) -> None:
    """L1. A proxy's own are not counted: nobody knows whose they are."""
    settings: dict[str, Any] = {"handshakes_at_once": 3, "handshakes_per_second": 1}
    async with serving(tmp_path, **settings) as server:
        school, home = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        for _ in range(3):
            assert (await server.refusal("none", headers=school))[0] == 404
        status, problem = await server.refusal("none", headers=school)
        assert (status, problem["code"]) == (429, "rate_limited")
        assert 0 < problem["retry_after_ms"] <= 1_000
        assert (await server.refusal("none", headers=home))[0] == 404
        for _ in range(4):
            assert (await server.refusal("none"))[0] == 404
