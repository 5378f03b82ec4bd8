"""Presence and control across the servers that have a document open."""

from __future__ import annotations

import pytest

from collab.errors import CloseCode
from collab.rooms.neighbours import MAX_RANGES
from collab.rooms.presenter import BYTES_PER_S
from tests.rooms.neighbouring import (
    HEARTBEAT_S,
    PRESENCE_HZ,
    Channel,
    Server,
    Session,
    heartbeats,
    names,
    now,
    played,
    told,
)

# -- Who is there ----------------------------------------------------------------------------------


@played
async def test_a2_others_are_told_of_who_is_on_another_server() -> None:
    channel = Channel()
    here, there = Server(channel, "here", text="hello"), Server(channel, "there", text="hello")
    ada, bob = here.join("ada"), there.join("bob")
    bob.move((1, 4))
    await told()
    assert ada.others == {
        "bob": {
            "client": "bob",
            "name": "Bob",
            "color": "#000000",
            "revision": 0,
            "ranges": [[1, 4]],
        }
    }
    assert here.join("eve").others["bob"]["ranges"] == [[1, 4]]
    bob.leave()
    await told()
    assert "bob" not in ada.others
    assert names((here, there)) == [["ada", "eve"]] * 2


@played
async def test_a1_cursors_of_another_server_are_carried_forward() -> None:
    channel = Channel()
    here, there = Server(channel, "here", text="hello"), Server(channel, "there", text="hello")
    bob = there.join("bob")
    bob.move((1, 4))
    await told()
    here.insert(0, "> ")
    assert here.join("ada").others["bob"]["ranges"] == [[3, 6]]


@played
async def test_a1_cursors_of_a_revision_that_is_not_here_yet_wait_for_it() -> None:
    channel = Channel()
    here, there = Server(channel, "here", text="hello"), Server(channel, "there", text="hello")
    bob = there.join("bob")
    there.insert(0, "> ")
    bob.move((7, 7), revision=1)
    await told()
    here.insert(0, "> ")
    here.insert(0, "> ")
    assert here.join("ada").others["bob"]["ranges"] == [[9, 9]]


@played
async def test_who_opens_the_document_hears_of_everybody() -> None:
    channel = Channel()
    there = Server(channel, "there")
    there.join("bob").move((0, 0))
    await told()
    here = Server(channel, "here")
    await told()
    assert here.join("ada").others["bob"]["ranges"] == [[0, 0]]


@played
async def test_who_closes_the_document_says_so() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    there.join("bob")
    await told()
    there.close()
    await told()
    assert here.clients == []


@played
async def test_a4_the_peers_of_a_server_that_died_leave_within_three_heartbeats() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    ada, _ = here.join("ada"), there.join("bob")
    await heartbeats(2.9)
    there.die()
    await heartbeats(1)
    assert "bob" in ada.others
    await heartbeats(2)
    assert "bob" not in ada.others


@played
async def test_a4_one_lost_heartbeat_is_not_a_death() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    ada, _ = here.join("ada"), there.join("bob")
    await heartbeats(2)
    here.hears = False
    await heartbeats(1)
    here.hears = True
    known = ada.others["bob"]
    await heartbeats(1)
    assert ada.others["bob"] is known


@played
async def test_news_that_were_lost_are_asked_for_with_the_next_heartbeat() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    ada, bob = here.join("ada"), there.join("bob")
    await told()
    here.hears = False
    bob.leave()
    there.join("eve")
    await told()
    here.hears = True
    assert list(ada.others) == ["bob"]
    await heartbeats(1.1)
    assert list(ada.others) == ["eve"]


@played
async def test_news_after_lost_ones_are_understood_and_the_lost_asked_for_at_once() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    ada, bob = here.join("ada"), there.join("bob")
    await heartbeats(1)
    here.hears = False
    bob.leave()
    await told()
    here.hears = True
    there.join("eve")
    await told()
    assert list(ada.others) == ["eve"]
    assert channel.count("alive") == 2


@played
async def test_who_is_subscribed_anew_tells_and_asks_at_once() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    ada, bob = here.join("ada"), there.join("bob")
    await heartbeats(1)
    here.hears = there.hears = False
    ada.leave()
    bob.leave()
    here.join("eve")
    await told()
    here.hears = there.hears = True
    here.room.resubscribed()
    await told()
    assert names((here, there)) == [["eve"], ["eve"]]


@played
async def test_who_was_deaf_tells_what_happened_when_it_thought_itself_alone() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    ada, bob = here.join("ada"), there.join("bob")
    await told()
    here.hears = False
    await heartbeats(3)
    assert "bob" not in ada.others
    ada.leave()
    here.hears = True
    await heartbeats(1.1)
    assert names((here, there)) == [["bob"]] * 2
    assert bob.others == {}


@played
async def test_of_versions_to_come_only_what_is_known_is_heard() -> None:
    channel = Channel()
    here = Server(channel, "here")
    ada = here.join("ada")
    peer = b'{"client":"bob","name":"Bob","color":"#1","arrival":1,"revision":0,"ranges":[],"x":1}'
    here.room.heard(
        b'{"type":"news","sender":"s","number":1,"all":true,"left":[],"peers":[%s]}' % peer
    )
    for unknown in (
        b'{"type":"song","sender":"s"}',
        b'{"type":"news"}',
        b"",
        b"\xff",
        b"[" * 9_999,
    ):
        here.room.heard(unknown)
    await told()
    assert list(ada.others) == ["bob"]
    assert here.broken == []


@played
async def test_what_was_known_is_not_told_to_sessions_again() -> None:
    channel = Channel()
    here, there = Server(channel, "here", text="hello"), Server(channel, "there", text="hello")
    ada, bob = here.join("ada"), there.join("bob")
    bob.move((1, 1))
    await told()
    known = ada.others["bob"]
    there.room.resubscribed()
    Server(channel, "new")
    await told()
    assert ada.others["bob"] is known


# -- How much is told ------------------------------------------------------------------------------


@played
async def test_who_is_alone_publishes_next_to_nothing() -> None:
    channel = Channel()
    here = Server(channel, "here")
    await heartbeats(0.1)
    ada = here.join("ada")
    before = len(channel.carried)
    for place in range(1_000):
        ada.move((place, place))
        await heartbeats(0.01)
    assert len(channel.carried) - before == channel.count("alive") == 10


@played
async def test_a2_a3_of_many_moves_only_the_latest_are_told_and_so_often() -> None:
    channel = Channel()
    here, there = (
        Server(channel, "here", text="x" * 2_000),
        Server(channel, "there", text="x" * 2_000),
    )
    ada, bob = here.join("ada"), there.join("bob")
    await told()
    before, began = channel.count("news"), now()
    for place in range(1_000):
        bob.move((place, place))
        await heartbeats(0.001 / HEARTBEAT_S)
    await told()
    assert ada.others["bob"]["ranges"] == [[999, 999]]
    assert channel.count("news") - before <= (now() - began) * PRESENCE_HZ + 1


@played
async def test_a3_many_cursors_are_told_in_bounded_messages_at_a_bounded_pace() -> None:
    channel = Channel()
    long = "x" * 99_999
    here, there = Server(channel, "here", text=long), Server(channel, "there", text=long)
    ada, *crowd = here.join("ada"), *(there.join(f"bob {number}") for number in range(300))
    await told()
    began = len(channel.sizes)
    for bob in crowd:
        bob.writable = False
        bob.move(*[(99_999, 99_999)] * 100)
    assert len(crowd) * 100 > 5 * MAX_RANGES
    await heartbeats(1 / HEARTBEAT_S)
    largest = MAX_RANGES * len("[99999,99999],") + len(crowd) * 200
    assert sum(channel.sizes[began:]) <= BYTES_PER_S + largest
    await heartbeats(1 / HEARTBEAT_S)
    assert {len(each["ranges"]) for each in ada.others.values()} == {100}
    here.room.resubscribed()
    await heartbeats(1)
    assert max(channel.sizes) <= largest
    assert ada.left == []
    late = here.join("eve")
    assert [len(late.others[bob.client]["ranges"]) for bob in crowd] == [100] * 300


# -- Of each client the newest session -------------------------------------------------------------


@played
async def test_l3_a_newer_session_on_another_server_ends_the_older_within_a_second() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    older, watching = here.join("ada"), here.join("bob")
    await told()
    joined_at = now()
    newer = there.join("ada")
    await told()
    assert (older.ended, newer.ended) == ([CloseCode.REPLACED], [])
    assert older.ended_at - joined_at < 1
    assert list(watching.others) == ["ada"]
    assert names((here, there)) == [["ada", "bob"]] * 2
    newer.leave()
    await told()
    assert list(watching.others) == []


@played
async def test_l3_the_older_ends_before_it_is_told_who_is_there() -> None:
    """News wait for their turn, and a busy room's for longer."""
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    older = here.join("ada")
    await told()
    channel.lost_kind = "news"
    there.join("ada")
    await told()
    assert older.ended == [CloseCode.REPLACED]


@played
async def test_h7_a_handshake_that_was_overtaken_on_another_server_comes_too_late() -> None:
    """However long it takes, and whatever the clocks say."""
    channel = Channel()
    here, there = Server(channel, "here", skew_s=300), Server(channel, "there", skew_s=-300)
    first = here.knock("ada")
    await told()
    second = there.join("ada")
    await told()
    assert not here.room.attendance.is_newest("ada", first.arrival)
    here.admit(first)
    await told()
    assert (first.ended, second.ended) == ([CloseCode.RESTART], [])


@played
async def test_h7_a_handshake_under_way_elsewhere_ends_no_session_yet() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    older = here.join("ada")
    await told()
    newer = there.knock("ada")
    await told()
    assert older.ended == []
    there.admit(newer)
    await told()
    assert older.ended == [CloseCode.REPLACED]


@played
async def test_h7_two_that_have_not_heard_of_each_other_agree_when_they_do() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    await told()
    here.hears = there.hears = False
    newer = there.knock("ada")
    older = here.join("ada")
    there.admit(newer)
    older, newer = sorted((older, newer), key=lambda session: session.arrival)
    await told()
    assert older.here
    assert newer.here
    here.hears = there.hears = True
    await heartbeats(1.1)
    assert (older.ended, newer.ended) == ([CloseCode.REPLACED], [])
    assert names((here, there)) == [["ada"]] * 2


@played
async def test_h7_of_two_of_one_instant_every_server_picks_the_same() -> None:
    channel = Channel()
    here, there = Server(channel, "here"), Server(channel, "there")
    sessions = here.knock("ada"), there.knock("ada")
    assert sessions[0].arrival == sessions[1].arrival
    here.admit(sessions[0])
    there.admit(sessions[1])
    await told()
    assert [session.here for session in sessions] == [False, True]


# -- Anything may happen ---------------------------------------------------------------------------


CLIENTS = "abcdef"


class World:
    """Servers come and go, clients wander between them, and messages are lost."""

    def __init__(self, seed: int) -> None:
        self.channel = Channel(seed, loss=0.3, delay_s=2)
        self.random = self.channel.random
        self.sessions: list[Session] = []
        self.knocking: list[tuple[Server, Session]] = []
        self.came: dict[str, list[tuple[int, str]]] = {client: [] for client in CLIENTS}
        self.opened = 0
        for _ in range(3):
            self.open()

    @property
    def servers(self) -> list[Server]:
        return self.channel.servers

    def open(self) -> None:
        self.opened += 1
        Server(self.channel, f"s{self.opened}", skew_s=self.random.uniform(-20, 20))

    def knock(self, server: Server, client: str) -> Session:
        session = server.knock(client)
        self.came[client].append(session.stamp)
        return session

    def step(self) -> None:
        server = self.random.choice(self.servers)
        client = self.random.choice(CLIENTS)
        match self.random.randrange(20):
            case 0 | 1 | 2 | 3 | 4:
                self.sessions.append(server.admit(self.knock(server, client)))
            case 5 | 6:
                self.knocking.append((server, self.knock(server, client)))
            case 7 | 8 if self.knocking:
                server, session = self.knocking.pop(self.random.randrange(len(self.knocking)))
                if server in self.servers:
                    self.sessions.append(server.admit(session))
            case 9 | 10 | 11 | 12 if self.sessions:
                session = self.random.choice(self.sessions)
                if session.here:
                    session.move((0, 0))
            case 13 | 14 if self.sessions:
                session = self.random.choice(self.sessions)
                if session.here:
                    session.leave()
            case 15:
                server.room.resubscribed()
            case 16 if len(self.servers) > 1:
                self.random.choice((server.die, server.close))()
            case 17 if len(self.servers) < 4:
                self.open()
            case 18:
                server.hears = not server.hears

    def calm_down(self) -> None:
        self.channel.loss = 0
        for server in self.servers:
            server.hears = True

    def check(self) -> None:
        alive = [server.room for server in self.servers]
        here = sorted(each.client for each in self.sessions if each.here and each.room in alive)
        assert len(here) == len(set(here)), "one session of each client"
        assert names(self.servers) == [here] * len(alive)
        for room in alive:
            for each in room.attendance.sessions():
                assert isinstance(each, Session)
                assert sorted((*each.others, each.client)) == here
        for session in self.sessions:
            if CloseCode.REPLACED in session.ended:
                assert session.stamp < max(self.came[session.client]), "only by a newer one"
        assert not any(server.broken for server in self.servers)


@pytest.mark.parametrize("seed", range(60))
@played
async def test_whatever_was_lost_all_agree_after_a_few_heartbeats(seed: int) -> None:
    world = World(seed)
    for _ in range(world.random.randrange(20, 150)):
        world.step()
        await heartbeats(world.random.choice((0, 0.01, 0.1, 0.5)))
    world.calm_down()
    await heartbeats(4)
    world.check()
