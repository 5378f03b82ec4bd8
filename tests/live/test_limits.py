"""What holds for every client (L1), and what ends the session of who does not keep to it (L3)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State

from collab.access.tokens import Tokens, User
from collab.errors import RateLimited, SessionEnd
from collab.live import transport
from collab.live.pace import Bucket, Buckets, Pace, price, price_of_rebase
from collab.log.rebase import MAX_REBASE_COST
from collab.settings import Limits
from tests.live.raw import PING, PONG, TEXT, Raw, frame
from tests.peer import Peer
from tests.serving import PATIENCE_S, SECRET, Serving, serving

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS = {
    "max_message_bytes": 1_048_576,
    "max_document_units": 10_000_000,
    "max_updates_per_push": 1_000,
    "max_sections_per_push": 10_000,
    "max_ranges": 100,
    "pushes_per_second": 1_000,
    "presence_hz": 10,
    "heartbeat_s": 15.0,
}

OTHERS: dict[str, Any] = {
    "max_message_bytes": 2_048,
    "max_document_units": 1_000,
    "max_updates_per_push": 4,
    "max_sections_per_push": 12,
    "max_ranges": 3,
    "pushes_per_second": 50,
    "presence_hz": 20,
    "heartbeat_s": 7.5,
}


async def answer(peer: Peer) -> str:
    """What a push is answered: `updates`, or why it is refused."""
    message = await peer.hear("updates", "refused")
    return str(message.get("code", message["type"]))


async def end(peer: Peer) -> tuple[int, str]:
    """The close code and the reason that a session ends with."""
    code = await peer.closed()
    return code, str(peer.connection.close_reason)


# -- L1: at each limit, and just over it --------------------------------------------------------


async def test_l1_a_welcome_names_the_limits_as_they_are_by_default(server: Serving) -> None:
    peer = await server.join(await server.document())
    assert peer.welcome["limits"] == DEFAULTS


async def test_l1_a_welcome_names_the_limits_as_they_are_set(tmp_path: Path) -> None:
    async with serving(tmp_path, **OTHERS) as server:
        peer = await server.join(await server.document())
        assert peer.welcome["limits"] == OTHERS


async def test_l1_a_message_of_the_longest_length_is_taken(tmp_path: Path) -> None:
    """L2: one byte more ends the session."""
    async with serving(tmp_path, max_message_bytes=2_048) as server:
        peer = await server.join(await server.document())
        message = '{"type":"push","revision":0,"seq":1,"updates":[[[0,"%s"]]]}'
        fill = "x" * (2_048 - len(message) + 2)
        await peer.send(message % fill)
        assert await answer(peer) == "updates"
        await peer.send(message % (fill + "x"))
        code, reason = await end(peer)
        assert code == 1009
        assert "2048" in reason


async def test_l2_who_sends_far_too_much_is_still_told_why(server: Serving) -> None:
    """It reads nothing before all of it is sent, as a browser's page may."""
    raw = await Raw.join(server.port, await server.document(), await server.token())
    transport = raw.reader._transport  # type: ignore[attr-defined]
    transport.pause_reading()
    raw.send(frame(TEXT, b"x" * 20_000_000))
    await raw.writer.drain()
    transport.resume_reading()
    assert (await raw.closed())[0] == 1009


async def test_l1_a_document_takes_as_much_as_it_may_hold(tmp_path: Path) -> None:
    async with serving(tmp_path, max_document_units=1_000) as server:
        peer = await server.join(await server.document())
        await peer.push([[0, "x" * 999]])
        assert await answer(peer) == "updates"
        await peer.push([999, [0, "xy"]])
        assert await answer(peer) == "document_full"
        await peer.push([999, [0, "x"]])
        assert await answer(peer) == "updates"


async def test_l1_a_push_has_as_many_updates_as_it_may(tmp_path: Path) -> None:
    async with serving(tmp_path, max_updates_per_push=4) as server:
        peer = await server.join(await server.document())
        await peer.push(*[[]] * 5)
        assert await answer(peer) == "too_large"
        await peer.push(*[[]] * 4)
        assert await answer(peer) == "updates"


async def test_l1_a_push_has_as_many_sections_as_it_may(tmp_path: Path) -> None:
    async with serving(tmp_path, max_sections_per_push=12) as server:
        peer = await server.join(await server.document())
        await peer.push([[0, "x"]] * 7, [7, *[[0, "y"]] * 5])
        assert await answer(peer) == "too_large"
        await peer.push([[0, "x"]] * 7, [7, *[[0, "y"]] * 4])
        assert await answer(peer) == "updates"


async def test_l1_others_see_as_many_ranges_as_there_may_be(tmp_path: Path) -> None:
    async with serving(tmp_path, max_ranges=3) as server:
        document_id = await server.document("hello")
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        for ranges in ([[1, 1], [2, 2], [3, 3]], [[5, 5], [4, 4], [3, 3], [2, 2]]):
            await bob.send({"type": "presence", "revision": 1, "ranges": ranges})
            shown: Any = None
            while shown != ranges[:3]:
                (other,) = (await ada.hear("presence"))["peers"]
                shown = other["ranges"]


async def test_l1_as_many_pushes_a_second_as_there_may_be(tmp_path: Path) -> None:
    async with serving(tmp_path, pushes_per_second=3) as server:
        peer = await server.join(await server.document())
        answers = []
        for _ in range(4):
            await peer.push([])
            answers.append(await peer.hear("updates", "refused"))
        assert [message["type"] for message in answers] == ["updates"] * 3 + ["refused"]
        await asyncio.sleep(answers[-1]["retry_after_ms"] / 1000)
        await peer.push([])
        assert await answer(peer) == "updates"


@pytest.mark.parametrize(
    ("limit", "who", "where", "why"),
    [
        ("user_pushes_per_second", "Ada", 1, "at most 3 pushes a second of one user"),
        ("document_pushes_per_second", "Bob", 0, "at most 3 pushes a second in one document"),
    ],
)
async def test_l1_all_sessions_of_a_user_and_all_of_a_document_share_what_they_may_push(
    tmp_path: Path, limit: str, who: str, where: int, why: str
) -> None:
    limits: dict[str, Any] = {limit: 3}
    async with serving(tmp_path, **limits) as server:
        documents = [await server.document(), await server.document()]
        ada = await server.join(documents[0])
        for _ in range(3):
            await ada.push([])
            assert await answer(ada) == "updates"
        second = await server.join(documents[where], who)
        await second.push([])
        refused = await second.hear("updates", "refused")
        assert (refused["code"], refused["message"]) == ("rate_limited", why)
        other = await server.join(documents[1 - where], "Bob" if who == "Ada" else "Ada")
        await other.push([])
        assert await answer(other) == "updates"


async def test_l3_to_push_on_into_a_document_that_has_enough_is_4429(tmp_path: Path) -> None:
    async with serving(tmp_path, document_pushes_per_second=1) as server:
        document_id = await server.document()
        assert 18 <= await refusals(await server.join(document_id), []) <= 24


# -- L3: each close code that the live side sends, with its reason ------------------------------


async def test_l3_a_restart_is_1012(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        peer = await server.join(await server.document())
    assert await end(peer) == (1012, "the server restarts")


async def test_l3_another_protocol_is_4400(server: Serving) -> None:
    peer = await server.join(await server.document())
    await peer.send("hello")
    assert await end(peer) == (4400, "not a message of this protocol")


async def test_l3_a_token_that_expires_is_4401(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=4) as server:
        dying, _ = Tokens(SECRET, 0, lambda: time.time() - 2).issue(User("a", "A", guest=True))
        peer = await Peer.join(server.port, await server.document(), dying)
        assert await end(peer) == (4401, "the token has expired")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("rubbish", "the token is not valid"),
        (
            Tokens(SECRET, 60, lambda: 0).issue(User("a", "A", guest=True))[0],
            "the token has expired",
        ),
        (
            Tokens(SECRET, 86_400, time.time).issue(User("a", "A", guest=True))[0],
            "this token is another user's",
        ),
    ],
)
async def test_l3_a_token_that_renews_nothing_is_4401(
    server: Serving, token: str, reason: str
) -> None:
    peer = await server.join(await server.document())
    await peer.send({"type": "token", "token": token})
    assert await end(peer) == (4401, reason)


async def test_l3_a_deleted_document_is_4404(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    path = f"/v1/documents/{document_id}"
    (await server.http.delete(path, headers=await server.authorization())).raise_for_status()
    assert await end(peer) == (4404, "the document was deleted")


async def test_l3_a_silent_client_is_4408(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.7) as server:
        peer = await server.join(await server.document())
        assert await end(peer) == (4408, "nothing was heard for two heartbeats")


async def test_l3_a_client_that_came_anew_is_4409(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    await server.join(document_id, client=peer.client_id)
    assert await end(peer) == (4409, "a newer session of this client came")


# -- L3: too fast for too long ------------------------------------------------------------------

TOO_FAST = (4429, "too fast for too long")

WIDE = b'{"type":"presence","revision":0,"ranges":[%s[0,0]]}' % (b"[0,0]," * 150_000)


async def flood(server: Serving, document_id: str, data: bytes, times: int) -> tuple[int, str]:
    """Send the same over and over, reading nothing, and then how the session ends."""
    raw = await Raw.join(server.port, document_id, await server.token("Mallory"))
    for _ in range(times):
        raw.send(data)
        if raw.writer.transport.get_write_buffer_size() > 1_000_000:
            try:
                await raw.writer.drain()
            except ConnectionError:
                break
    return await raw.closed()


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (frame(TEXT, b'{"type":"beat"}') * 100, 50),
        (frame(TEXT, b'{"type":"presence","revision":0,"ranges":[]}') * 100, 50),
        (frame(TEXT, WIDE), 20),
        (frame(PING, b"are you there?") * 100, 50),
        (frame(PONG) * 100, 50),
        (frame(TEXT, b"{", final=False) + frame(0, b"", final=False) * 5_000, 1),
        (frame(TEXT, b'{"type":"beat"}') * 40_000, 1),
    ],
    ids=["beats", "presence", "wide presence", "pings", "pongs", "empty parts", "one great write"],
)
async def test_l3_a_flood_is_4429(server: Serving, data: bytes, times: int) -> None:
    document_id = await server.document()
    ada = await server.join(document_id)
    assert await flood(server, document_id, data, times) == TOO_FAST
    await ada.push([[0, "still here"]])
    assert await answer(ada) == "updates"
    assert await server.text(document_id) == "still here"


async def test_l3_a_flood_of_tokens_is_4429(server: Serving) -> None:
    token = await server.token("Mallory")
    data = frame(TEXT, b'{"type":"token","token":"%s"}' % token.encode())
    assert await flood(server, await server.document(), data * 100, 50) == TOO_FAST


async def pushed(peer: Peer, *updates: Any) -> str | None:
    """What a push is answered; None if the session ends instead."""
    try:
        await peer.push(*updates, revision=0)
        return await answer(peer)
    except ConnectionClosed:
        return None


async def refusals(peer: Peer, *updates: Any) -> int:
    """How many pushes in a row are refused before the session ends with 4429."""
    refused = 0
    async with asyncio.timeout(PATIENCE_S):
        while (said := await pushed(peer, *updates)) is not None:
            refused += said != "updates"
    assert (peer.connection.close_code, peer.connection.close_reason) == TOO_FAST
    return refused


async def test_l3_to_push_on_in_spite_of_being_too_fast_is_4429(tmp_path: Path) -> None:
    async with serving(tmp_path, pushes_per_second=1) as server:
        document_id = await server.document()
        assert 18 <= await refusals(await server.join(document_id), []) <= 24


async def test_l3_to_push_on_in_spite_of_other_refusals_is_4429(tmp_path: Path) -> None:
    async with serving(tmp_path, messages_per_second=20) as server:
        document_id = await server.document()
        assert await refusals(await server.join(document_id), [7]) >= 100


async def test_l3_refused_pushes_pay_for_their_length(tmp_path: Path) -> None:
    async with serving(tmp_path, messages_per_second=100) as server:
        document_id = await server.document()
        assert await refusals(await server.join(document_id), [7, [0, "x" * 900_000]]) <= 4


async def test_l3_to_type_as_fast_as_can_be_is_not_too_fast(tmp_path: Path) -> None:
    """Ordered pushes are not counted by what other messages may be."""
    async with serving(tmp_path, messages_per_second=100) as server:
        peer = await server.join(await server.document())
        for _ in range(700):
            await peer.push([], revision=peer.revision)
            assert await answer(peer) == "updates"


async def test_l3_to_upload_a_large_text_is_not_too_fast(tmp_path: Path) -> None:
    async with serving(tmp_path, messages_per_second=10) as server:
        document_id = await server.document()
        peer = await server.join(document_id)
        for part in range(9):
            kept = [part * 1_000_000] if part else []
            await peer.push([*kept, [0, "x" * 1_000_000]])
            assert await answer(peer) == "updates"
        assert len(await server.text(document_id)) == 9_000_000


async def test_l3_a_session_that_ended_for_its_pace_may_come_back(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    while peer.connection.state is State.OPEN:
        await asyncio.sleep(0)
        with suppress(ConnectionClosed):
            await peer.send({"type": "presence", "revision": 0, "ranges": []})
    assert await end(peer) == TOO_FAST
    back = await server.join(document_id, client=peer.client_id)
    await back.push([[0, "x"]])
    assert await answer(back) == "updates"


# -- The allowances, by a clock of their own ----------------------------------------------------


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = Bucket(per_second=10, burst=3, now=0)
    assert [bucket.take(1, 0) for _ in range(4)] == [0, 0, 0, 0.1]
    assert bucket.take(1, 0.05) == pytest.approx(0.05)
    assert bucket.take(1, 0.1) == 0
    assert [bucket.take(1, 100) > 0 for _ in range(4)] == [False, False, False, True]


def test_a_bucket_that_is_overdrawn_is_made_good_by_time() -> None:
    bucket = Bucket(per_second=10, burst=3, now=0)
    assert [bucket.spend(2, now) for now in (0, 0, 0, 0.2, 0.8)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_of_too_many_buckets_the_one_that_was_asked_for_longest_ago_is_full_again() -> None:
    buckets = Buckets(per_second=1, burst=1, most=2)
    for name in ("ada", "bob", "ada"):
        buckets.of(name, 0).spend(1, 0)
    buckets.of("cyd", 0)
    assert buckets.of("ada", 0).owed_s(0) == 1
    assert buckets.of("bob", 0).take(1, 0) == 0


def told_to_wait_s(pace: Pace, size: int, now: float) -> float:
    """Push once. Returns how long the client has to wait, 0 if the push is ordered."""
    try:
        pace.push(price(size), now)
    except RateLimited as refusal:
        pace.pay(price(size), now)
        return (refusal.retry_after_ms or 0) / 1000
    return 0.0


@pytest.mark.parametrize("pushes_per_second", [1, 2, 30, 1_000, 100_000])
@pytest.mark.parametrize("size", [100, 1_048_576])
@pytest.mark.parametrize("round_trip_s", [0.0005, 0.002, 0.1])
def test_l3_who_waits_as_told_is_never_too_fast(
    pushes_per_second: int, size: int, round_trip_s: float
) -> None:
    """It pushes as fast as it may, and moves its cursor five times as often as others are told."""
    pace = Pace(Limits(pushes_per_second=pushes_per_second), 0)
    now, moves, waits = 0.0, 0, 0
    while now < 120:
        wait_s = told_to_wait_s(pace, size, now)
        waits += wait_s > 0
        now += wait_s or round_trip_s
        while moves / 50 <= now:
            pace.pay(price(100), now)
            moves += 1
    assert (waits > 0) == (pushes_per_second * round_trip_s < 1)


@pytest.mark.parametrize("size", [100, 1_048_576])
def test_l3_who_waits_a_third_as_long_as_told_is_too_fast_in_the_end(size: int) -> None:
    pace, now = Pace(Limits(pushes_per_second=1), 0), 0.0
    with pytest.raises(SessionEnd, match="too fast for too long"):  # noqa: PT012 - in the end
        while now < 600:
            now += told_to_wait_s(pace, size, now) / 3


def test_l3_a_costly_rebase_is_paid_for() -> None:
    """However many sections it could meet, it stops at a bound."""
    assert price_of_rebase(100) == 0
    assert price_of_rebase(MAX_REBASE_COST) == price_of_rebase(10**9) > 400


# -- Under another server -----------------------------------------------------------------------


async def test_l3_one_who_does_not_read_is_gone_in_time_under_any_asgi_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its close cannot be told. Its place is free again."""
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT_S", 0.05)
    async with serving(tmp_path, ws=WebSocketsSansIOProtocol, max_sessions=2) as server:
        document_id = await server.document("x" * 3_000_000)
        client = "a client that does not read".replace(" ", "-")
        slow = await Raw.join(server.port, document_id, await server.token(), client=client)
        newer = await server.join(document_id, client=client)
        async with asyncio.timeout(PATIENCE_S):
            another = None
            while another is None:
                with suppress(InvalidStatus):  # the server is full
                    another = await server.join(document_id)
        await newer.push([3_000_000, [0, "y"]])
        assert await answer(newer) == "updates"
        await slow.cut()
