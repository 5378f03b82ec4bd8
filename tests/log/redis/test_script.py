"""The script: each of its operations, and all that it refuses."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from collab.log.redis.commands import SCRIPT
from tests.redis import Heard, links_to

if TYPE_CHECKING:
    from bench.redis import RedisServer

RUN = "a run"
PARTS = ("log", "state", "offers", "lease")


class Document:
    """One document's keys, and what is published on its channel is not looked at here."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis

    def do(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        keys = [self.key(part) for part in PARTS]
        answer: list[Any] = self._redis.execute(
            "EVAL", SCRIPT, 5, *keys, "collab:{doc}", operation, *arguments
        )
        return answer

    def key(self, part: str) -> str:
        return f"collab:{{doc}}:{part}"

    def ask(self, command: str, part: str, *arguments: str | int) -> Any:
        return self._redis.execute(command, self.key(part), *arguments)

    def append(self, push: str, count: int = 1) -> str:
        """At the end. Returns the mark after it."""
        _, _, end, mark, _, _ = self.do("read", 0, "", 1)
        *_, mark = self.do("append", RUN, end, mark, count, push)
        return str(mark.decode())

    @property
    def end(self) -> tuple[int, str]:
        _, _, end, mark, _, _ = self.do("read", 0, "", 1)
        return int(end), mark.decode()

    @property
    def revisions(self) -> list[int]:
        return [int(entry[0][2:]) for entry in self.ask("XRANGE", "log", "-", "+")]


@pytest.fixture
def document(redis: RedisServer) -> Document:
    return Document(redis)


@pytest.fixture
def seeded(document: Document) -> Document:
    """It begins at revision 10."""
    assert document.do("seed", RUN, 10, "m10") == [b"seeded"]
    return document


def mark_after(mark: str, push: str) -> str:
    return hashlib.sha1((mark + push).encode()).hexdigest()


# -- Beginning and appending ----------------------------------------------------------------------


def test_a_stream_begins_where_the_database_ends(seeded: Document) -> None:
    assert seeded.do("read", 10, "m10", 100) == [RUN.encode(), b"10", b"10", b"m10", 1, []]
    assert seeded.ask("TTL", "log") > 0


def test_no_stream_is_begun_while_servers_offer_what_they_have(document: Document) -> None:
    """They have more than the database, or one that opens it would go on without them."""
    document.do("offer", RUN, "a server", 12, 60_000, 1_000)
    assert document.do("seed", RUN, 10, "m10") == [b"offered"]
    assert document.do("seed", "another run", 10, "m10") == [b"seeded"]


def test_a_stream_that_is_there_is_not_begun_anew(seeded: Document) -> None:
    assert seeded.do("seed", "another run", 0, "m0") == [b"offered"]
    assert seeded.end == (10, "m10")


def test_a_push_takes_its_revisions_and_makes_the_next_mark(seeded: Document) -> None:
    mark = mark_after("m10", "a")
    assert seeded.do("append", RUN, 10, "m10", 3, "a") == [b"ordered", b"10", b"13", mark.encode()]
    assert seeded.end == (13, mark)
    assert seeded.ask("TTL", "log") == seeded.ask("TTL", "state") == -1


def test_who_has_not_heard_the_end_yet_may_append(seeded: Document) -> None:
    first = seeded.append("a")
    mark = mark_after(first, "b").encode()
    assert seeded.do("append", RUN, 10, "m10", 1, "b") == [b"ordered", b"11", b"12", mark]


@pytest.mark.parametrize(
    ("run", "revision", "mark"),
    [
        ("another run", 11, None),
        (RUN, 11, "another mark"),
        (RUN, 10, "another mark"),
        (RUN, 9, "m9"),  # trimmed, or never there
        (RUN, 12, "m12"),  # ahead of the stream
    ],
)
def test_nothing_is_appended_to_another_history(
    seeded: Document, run: str, revision: int, mark: str | None
) -> None:
    end = (11, seeded.append("a"))
    assert seeded.do("append", run, revision, mark or end[1], 1, "b") == [b"unwhole"]
    assert seeded.end == end


def test_nothing_is_appended_to_a_stream_that_is_gone(document: Document) -> None:
    assert document.do("append", RUN, 0, "", 1, "a") == [b"unwhole"]
    assert document.ask("EXISTS", "log") == 0


# -- Reading --------------------------------------------------------------------------------------


def test_what_follows_a_revision_is_read_in_order_and_in_parts(seeded: Document) -> None:
    marks = [seeded.append(str(number), 2).encode() for number in range(70)]
    stands = [RUN.encode(), b"10", b"150", marks[-1]]
    pushes = [
        [str(12 + 2 * number).encode(), mark, str(number).encode()]
        for number, mark in enumerate(marks)
    ]
    assert seeded.do("read", 10, "m10", 1) == [*stands, 1, pushes[:50]]
    assert seeded.do("read", 10, "m10", 51) == [*stands, 1, pushes]
    assert seeded.do("read", 110, marks[49], 1_000) == [*stands, 1, pushes[50:]]
    assert seeded.do("read", 150, marks[-1], 1_000) == [*stands, 1, []]


def test_one_reading_takes_a_bounded_time(seeded: Document) -> None:
    for _ in range(60):
        seeded.append("x" * 30_000)
    *_, pushes = seeded.do("read", 10, "m10", 1_000)
    assert len(pushes) == 50


def test_nothing_is_read_after_what_the_stream_does_not_hold(seeded: Document) -> None:
    seeded.append("a")
    *_, held, pushes = seeded.do("read", 10, "another mark", 10)
    assert (held, pushes) == (0, [])


def test_a_stream_that_is_gone_says_nothing(document: Document) -> None:
    assert document.do("read", 0, "", 10) == [b"", b"", b"", b"", 0, []]


def test_reading_keeps_a_stream_that_would_expire(seeded: Document) -> None:
    seeded.ask("EXPIRE", "log", 10)
    seeded.ask("EXPIRE", "state", 10)
    seeded.do("read", 10, "m10", 1)
    assert min(seeded.ask("TTL", "log"), seeded.ask("TTL", "state")) > 3_000


# -- Healing --------------------------------------------------------------------------------------


def test_offers_wait_for_the_grace_and_the_longest_has_the_turn(document: Document) -> None:
    word, left = document.do("offer", RUN, "one", 10, 60_000, 60_000)
    assert word == b"wait"
    assert 0 < left <= 60_000
    document.ask("HSET", "offers", "until", 0)
    document.do("offer", RUN, "two", 12, 60_000, 60_000)
    assert document.do("offer", RUN, "one", 10, 60_000, 60_000) == [b"wait", 60_000]
    assert document.do("offer", RUN, "two", 12, 60_000, 60_000) == [b"turn"]


def test_of_equal_offers_one_has_the_turn(document: Document) -> None:
    for server in ("one", "two"):
        document.do("offer", RUN, server, 10, 60_000, 60_000)
    document.ask("HSET", "offers", "until", 0)
    words = [document.do("offer", RUN, each, 10, 60_000, 60_000)[0] for each in ("one", "two")]
    assert words == [b"turn", b"wait"]


def test_who_stops_offering_loses_the_turn(document: Document) -> None:
    document.do("offer", RUN, "gone", 12, 60_000, 60_000)
    document.ask("HSET", "offers", "until", 0, ":gone", "1 12")
    assert document.do("offer", RUN, "one", 10, 60_000, 60_000) == [b"turn"]


def test_offers_under_another_run_begin_a_grace_of_their_own(document: Document) -> None:
    document.do("offer", RUN, "one", 12, 60_000, 60_000)
    document.ask("HSET", "offers", "until", 0)
    assert document.do("offer", "another run", "two", 10, 60_000, 60_000)[0] == b"wait"
    assert not document.ask("HEXISTS", "offers", ":one")


def test_a_whole_stream_takes_no_offers(seeded: Document) -> None:
    assert seeded.do("offer", RUN, "one", 12, 0, 0) == [b"whole"]
    assert seeded.do("offer", "another run", "one", 12, 60_000, 60_000)[0] == b"wait"


def test_what_was_lost_is_put_back_and_makes_it_whole_at_last(seeded: Document) -> None:
    first = ("11", "m11", "a")
    assert seeded.do("restore", "new", "after", 10, "m10", 10, "m10", 0, *first) == [b"restored"]
    assert seeded.do("append", "new", 11, "m11", 1, "x") == [b"unwhole"]
    seeded.do("restore", "new", "after", 11, "m11", 11, "m11", 1, "14", "m14", "b")
    assert seeded.revisions == [10, 11, 14]
    assert seeded.do("append", "new", 14, "m14", 1, "x")[0] == b"ordered"
    assert seeded.ask("EXISTS", "offers") == 0


def test_another_history_replaces_what_is_there(seeded: Document) -> None:
    mark = seeded.append("a")
    pushes = ("7", "m7", "b")
    done = seeded.do("restore", "new", "replace", 11, mark, 5, "m5", 1, *pushes)
    assert done == [b"restored"]
    assert seeded.revisions == [5, 7]
    assert seeded.do("read", 5, "m5", 1)[:2] == [b"new", b"5"]


def test_a_stream_that_is_gone_is_begun_by_who_restores_it(document: Document) -> None:
    done = document.do("restore", RUN, "replace", "", "", 5, "m5", 1, "6", "m6", "a")
    assert done == [b"restored"]
    assert document.end == (6, "m6")


def test_what_is_begun_by_who_restores_it_expires_only_while_all_is_saved(
    document: Document,
) -> None:
    """Or whatever is only looked at would stay in Redis for ever."""
    document.do("restore", RUN, "replace", "", "", 5, "m5", 1)
    assert document.ask("TTL", "log") > 0
    assert document.ask("TTL", "state") > 0
    document.do("restore", RUN, "replace", 5, "m5", 5, "m5", 1, "6", "m6", "a")
    assert document.ask("TTL", "log") == document.ask("TTL", "state") == -1


@pytest.mark.parametrize("end", [(9, "m9"), (10, "another mark"), ("", "")])
def test_nothing_is_restored_where_the_end_is_elsewhere(
    seeded: Document, end: tuple[int | str, str]
) -> None:
    done = seeded.do("restore", "new", "replace", *end, 5, "m5", 1, "6", "m6", "a")
    assert done == [b"moved"]
    assert seeded.end == (10, "m10")


# -- What is saved --------------------------------------------------------------------------------


def test_what_is_saved_moves_forward_only_and_lets_the_stream_expire(seeded: Document) -> None:
    marks = {revision: seeded.append("a") for revision in (11, 12, 13)}
    for revision, known, expires in ((12, b"12", False), (11, b"12", False), (13, b"13", True)):
        assert seeded.do("saved", revision, marks[revision], 100) == [b"saved"]
        assert seeded.do("read", 13, marks[13], 1)[1] == known
        assert (seeded.ask("TTL", "log") > 0) is expires


def test_what_lies_behind_the_window_is_trimmed(redis: RedisServer, seeded: Document) -> None:
    redis.execute("CONFIG", "SET", "stream-node-max-entries", "1")
    try:
        *_, mark = (seeded.append("a") for _ in range(5))
        seeded.do("saved", 15, mark, 2)
        assert seeded.revisions == [13, 14, 15]
    finally:
        redis.execute("CONFIG", "SET", "stream-node-max-entries", "100")


def test_nothing_is_saved_of_a_stream_that_is_gone(document: Document) -> None:
    assert document.do("saved", 5, "m5", 0) == [b"saved"]
    assert document.ask("EXISTS", "state") == 0


def test_nothing_is_saved_of_another_history(seeded: Document) -> None:
    mark = seeded.append("a")
    seeded.do("saved", 11, "another mark", 0)
    seeded.do("saved", 12, "another mark", 0)
    assert seeded.do("read", 11, mark, 1)[1] == b"10"
    assert seeded.ask("TTL", "log") == -1


def test_a_document_at_rest_keeps_its_last_entry_once_all_is_saved(seeded: Document) -> None:
    seeded.append("a")
    mark = seeded.append("b")
    assert seeded.do("rest") == [b"rested"]
    assert seeded.revisions == [10, 11, 12]
    seeded.do("saved", 12, mark, 100)
    assert seeded.do("rest") == [b"rested"]
    assert seeded.revisions == [12]


async def test_a_document_that_others_follow_is_not_at_rest(
    seeded: Document, redis: RedisServer
) -> None:
    """Who lags would no longer find what it has heard last."""
    mark = seeded.append("a")
    seeded.do("saved", 11, mark, 100)
    async with links_to(redis.url) as one, links_to(redis.url) as two:
        for links in (one, two):
            heard = Heard()
            links.link("doc", heard)
            await heard.until("subscribed")
        seeded.do("rest")
        assert seeded.revisions == [10, 11]
    seeded.do("rest")
    assert seeded.revisions == [11]


# -- Who saves, and the end -----------------------------------------------------------------------


def test_one_server_leads_until_it_yields(document: Document) -> None:
    assert document.do("lead", "one", 60_000) == [1, 60_000]
    assert document.do("lead", "one", 50_000) == [1, 50_000]
    leads, left = document.do("lead", "two", 60_000)
    assert leads == 0
    assert 0 < left <= 50_000
    assert document.do("yield", "two") == [b"yielded"]
    assert document.do("lead", "two", 60_000)[0] == 0
    document.do("yield", "one")
    assert document.do("lead", "two", 60_000) == [1, 60_000]


def test_a_deleted_document_leaves_nothing(seeded: Document) -> None:
    seeded.do("lead", "one", 60_000)
    seeded.do("offer", "another run", "one", 12, 60_000, 60_000)
    assert seeded.do("remove") == [b"removed"]
    assert [seeded.ask("EXISTS", part) for part in PARTS] == [0, 0, 0, 0]
