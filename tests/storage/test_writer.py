"""The background writer, on a real database."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from collab.errors import Damaged, NotFound, Unavailable
from collab.log.entry import Entry, next_mark
from collab.rooms.room import Room
from collab.storage import commit, documents, history, segments
from collab.storage.commit import Conflict
from collab.storage.rests import MAX_REST_S, SHARE, Rests
from collab.storage.runs import Row, Runs
from tests.storage.saving import PATIENCE_S, Bench, Document, running


async def test_what_is_reported_saved_is_read_again(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.save(document, "c", "b", "a 😀 ")
    saved = await history.load(bench.database, "d")
    assert str(saved.text) == "a 😀 bc"
    assert saved.end == document.room.history.end
    again = Room.restore(saved)
    assert again.history.items(0, 3, 10**6) == document.room.history.items(0, 3, 10**6)
    assert again.history.mark_at(2) == document.room.history.mark_at(2)


async def test_pushes_that_wait_share_a_segment_and_a_commit(bench: Bench) -> None:
    document, other = await bench.document("d"), await bench.document("e")
    for text in "abcdef":
        bench.writer.put("d", document.type(text), document)
        bench.writer.put("e", other.type(text), other)
    await document.heard()
    await other.heard()
    found = await bench.rows("select document_id, first_revision, last_revision from segments")
    assert sorted(found) == [("d", 1, 6), ("e", 1, 6)]


async def test_segments_follow_one_another_without_a_gap(bench: Bench) -> None:
    document = await bench.document("d")
    for _ in range(5):
        await bench.save(document, "x", "y")
    ends = await bench.rows("select first_revision, last_revision from segments order by 1")
    assert ends[0][0] == 1
    assert ends[-1][1] == 10
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ends))


async def test_another_history_fails_and_fails_only_its_document(bench: Bench) -> None:
    """The saved revision and mark must be where a segment begins."""
    document, other = await bench.document("d"), await bench.document("e")
    stranger = Document("d")
    await bench.save(document, "mine")
    bench.writer.put("d", stranger.type("theirs"), stranger)
    bench.writer.put("e", other.type("fine"), other)
    await stranger.heard()
    await other.heard()
    assert stranger.failures
    assert not other.failures
    assert str((await history.load(bench.database, "d")).text) == "mine"
    # Nor does one that agrees in its revision but not in its mark.
    stranger = Document("d")
    stranger.type("forged")
    await bench.save(stranger, "more")
    assert stranger.failures
    await bench.save(document, "still ")
    assert str((await history.load(bench.database, "d")).text) == "still mine"


async def test_a_commit_that_fails_is_tried_again_until_it_goes_through(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(url, patience_s=PATIENCE_S) as bench:
        document = await bench.document("d")
        await bench.rows("alter table segments rename to hidden")
        write, failures = bench.database.commit, list[SQLAlchemyError]()

        async def mend_after_a_failure(work: Any) -> Any:
            try:
                return await write(work)
            except SQLAlchemyError as error:
                failures.append(error)
                monkeypatch.setattr(bench.database, "commit", write)
                await bench.rows("alter table hidden rename to segments")
                raise

        monkeypatch.setattr(bench.database, "commit", mend_after_a_failure)
        await bench.save(document, "patience")
        assert len(failures) == 1
        assert not document.failures
        assert str((await history.load(bench.database, "d")).text) == "patience"


async def test_a_commit_that_fails_for_good_is_reported_and_nothing_of_it_is_saved(
    bench: Bench,
) -> None:
    document = await bench.document("d")
    await bench.save(document, "kept")
    await bench.rows("alter table segments rename to hidden")
    bench.writer.put("d", document.type("lost "), document)
    bench.writer.put("d", document.type("too "), document)
    await document.heard()
    assert document.failures
    await bench.rows("alter table hidden rename to segments")
    assert str((await history.load(bench.database, "d")).text) == "kept"
    assert await bench.rows("select saved_revision from documents") == [(1,)]


async def test_a_commit_whose_answer_was_lost_is_recognised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and finds its own mark."""
    document = await bench.document("d")
    write = bench.database.commit
    lost: list[object] = []

    async def lose_the_first_answer(work: Any) -> Any:
        answer = await write(work)
        if not lost:
            lost.append(answer)
            raise OperationalError("commit", None, ConnectionError("the connection broke"))
        return answer

    monkeypatch.setattr(bench.database, "commit", lose_the_first_answer)
    await bench.save(document, "once")
    assert len(lost) == 1
    assert not document.failures
    assert str((await history.load(bench.database, "d")).text) == "once"


async def test_the_largest_seq_of_each_client_that_took_effect_is_kept(bench: Bench) -> None:
    document = await bench.document("d")
    bench.writer.put("d", document.type("a", seq=3), document)
    bench.writer.put("d", document.type("b", seq=4, client="bob"), document)
    bench.writer.put("d", document.type("c", seq=7), document)
    void = Entry("ada", 9, None, (), "ada", 1)
    bench.writer.put("d", document.room.apply(void, next_mark(document.room.mark, b"")), document)
    await document.heard()
    assert await history.last_seq(bench.database, "d", "ada") == 7
    assert await history.last_seq(bench.database, "d", "bob") == 4
    assert await history.last_seq(bench.database, "d", "eve") == -1
    saved = await history.load(bench.database, "d")
    assert not Room.restore(saved).history.took_effect("ada", 9)
    assert Room.restore(saved).history.has("ada", 9, 0)


@pytest.mark.parametrize(
    "damage",
    [
        "delete from segments where first_revision = 2",
        "update segments set pushes = substr(pushes, 1, 1) where first_revision = 2",
        "update documents set saved_mark = 'another'",
        "update documents set saved_revision = 4",
    ],
)
async def test_a_history_that_does_not_fit_together_is_not_served(
    bench: Bench, damage: str
) -> None:
    document = await bench.document("d")
    for text in "abc":
        await bench.save(document, text)
    await bench.rows(damage)
    with pytest.raises(Damaged):
        await history.load(bench.database, "d")


async def test_a_document_that_cannot_be_saved_does_not_fail_those_beside_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await bench.document("bad"), await bench.document("good")
    encode = segments.encode

    def choke(pushes: Any) -> bytes:
        if pushes[0].author == "poison":
            raise RuntimeError("this one cannot be written")
        return encode(pushes)

    monkeypatch.setattr(commit, "encode", choke)
    push = bad.type("x")
    bench.writer.put("bad", msgspec.structs.replace(push, author="poison"), bad)
    bench.writer.put("good", good.type("fine"), good)
    await bad.heard()
    await good.heard()
    assert bad.failures
    assert not good.failures
    assert str((await history.load(bench.database, "good")).text) == "fine"


async def test_a_push_of_a_deleted_document_is_told_so(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.database.write(lambda connection: documents.delete(connection, "d"))
    await bench.save(document, "late")
    assert [type(failure) for failure in document.failures] == [NotFound]


async def test_the_writer_ends_when_all_that_was_put_is_saved(url: str) -> None:
    async with running(url) as bench:
        document = await bench.document("d")
        for text in "abc":
            bench.writer.put("d", document.type(text), document)
    assert document.saved_revision == 3


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_older_push_that_comes_later_does_not_lower_a_clients_seq(
    bench: Bench, at_once: bool
) -> None:
    """H7: what was lost is ordered again, perhaps after what its client pushed since."""
    document = await bench.document("d")
    for seq in (7, 5):
        bench.writer.put("d", document.type("x", seq=seq), document)
        if not at_once:
            await document.heard()
    await document.heard()
    assert await history.last_seq(bench.database, "d", "ada") == 7


async def test_the_seqs_of_clients_are_forgotten_in_the_end(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.save(document, "x")
    await bench.database.write(lambda connection: history.forget_clients(connection, 1_001, 10))
    assert await history.last_seq(bench.database, "d", "ada") == 1
    await bench.database.write(lambda connection: history.forget_clients(connection, 1_002, 10))
    assert await history.last_seq(bench.database, "d", "ada") == -1


async def test_a_document_is_settled_when_all_that_was_put_is_answered(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.writer.settle("d")
    bench.writer.put("d", document.type("x"), document)
    async with asyncio.timeout(PATIENCE_S):
        await bench.writer.settle("d")
    assert document.saved_revision == 1


async def test_h7_a_commit_that_had_no_answer_is_over_before_anybody_relies_on_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come to pass after it was given up: what was called void would be in the text."""
    document = await bench.document("d")
    write, late = bench.database.commit, asyncio.Event()
    under_way: list[asyncio.Task[Any]] = []

    async def leave_without_answer(work: Any) -> Any:
        """As a database that stalls in its commit: what is written next waits for it."""

        async def stalled() -> Any:
            await late.wait()
            return await write(work)

        if not under_way:
            under_way.append(asyncio.create_task(stalled()))
        elif late.is_set():
            await asyncio.wait(under_way)
            return await write(work)
        raise OperationalError("commit", None, ConnectionError("no answer"))

    monkeypatch.setattr(bench.database, "commit", leave_without_answer)
    await bench.save(document, "in doubt")
    assert document.failures
    with pytest.raises(OperationalError):
        await bench.writer.settle("d")
    late.set()
    await bench.writer.settle("d")
    assert str((await history.load(bench.database, "d")).text) == "in doubt"
    monkeypatch.setattr(bench.database, "commit", None)
    await bench.writer.settle("d")  # once is enough


# -- Runs, and what another server saved ---------------------------------------------------------


async def test_a_writer_of_another_run_saves_nothing_and_is_told_which_one_holds(
    bench: Bench,
) -> None:
    document, other = await bench.document("d"), await bench.document("e")
    runs = Runs(bench.database)
    await runs.claim("d", "one", "")
    bench.writer.put("d", document.type("kept"), document, "one")
    await document.heard()
    assert not document.failures
    await runs.claim("d", "two", "one")
    bench.writer.put("d", document.type("late "), document, "one")
    bench.writer.put("e", other.type("fine"), other, "")
    await document.heard()
    await other.heard()
    (failure,) = document.failures
    assert isinstance(failure, Conflict)
    assert failure.row == Row("two", 1, document.pushes[0].mark)
    assert not other.failures
    assert str((await history.load(bench.database, "d")).text) == "kept"
    document.failures.clear()
    bench.writer.put("d", document.last, document, "two")
    await document.heard()
    assert str((await history.load(bench.database, "d")).text) == "late kept"


async def test_a_conflict_tells_where_the_saved_history_ends(bench: Bench) -> None:
    document, stranger = await bench.document("d"), Document("d")
    await bench.save(document, "mine ", "too ")
    await bench.save(stranger, "theirs")
    (failure,) = stranger.failures
    assert isinstance(failure, Conflict)
    assert failure.row == Row("", 2, document.room.mark)


async def test_what_a_listener_puts_as_it_hears_of_a_failure_is_saved(bench: Bench) -> None:
    """Another server saved a part of it: the rest begins where that ends."""
    document = await bench.document("d")
    for text in "ab":
        bench.writer.put("d", document.type(text), document)
    await document.heard()

    class Persistent(Document):
        def not_saved(self, error: Exception) -> None:
            assert isinstance(error, Conflict)
            for push in document.pushes:
                if push.first > error.row.revision:
                    bench.writer.put("d", push, self)

    document.type("c")
    listener = Persistent("d")
    listener.room = document.room
    for push in document.pushes:
        bench.writer.put("d", push, listener)
    await listener.heard()
    found = await bench.rows("select first_revision, last_revision from segments order by 1")
    assert found == [(1, 2), (3, 3)]
    assert str((await history.load(bench.database, "d")).text) == "cba"


async def test_what_waits_is_saved_under_the_run_of_what_follows_it(bench: Bench) -> None:
    """The marks prove it the same history; the run only tells who may save it."""
    document = await bench.document("d")
    await Runs(bench.database).claim("d", "two", "")
    bench.writer.put("d", document.type("b"), document, "one")
    bench.writer.put("d", document.type("a "), document, "two")
    await document.heard()
    assert not document.failures
    assert str((await history.load(bench.database, "d")).text) == "a b"


async def test_a_listener_may_begin_again_elsewhere(bench: Bench) -> None:
    document = await bench.document("d")
    for text in "ab":
        bench.writer.put("d", document.type(text), document)
    for push in document.pushes:
        bench.writer.put("d", push, document)
    await document.heard()
    assert not document.failures
    assert str((await history.load(bench.database, "d")).text) == "ba"


async def test_a_listener_whose_pushes_are_replaced_by_anothers_is_told(bench: Bench) -> None:
    document, before = await bench.document("d"), Document("d")
    bench.writer.put("d", before.type("old"), before)
    bench.writer.put("d", document.type("new"), document)
    assert [type(failure) for failure in before.failures] == [Unavailable]
    await document.heard()
    assert not document.failures
    assert str((await history.load(bench.database, "d")).text) == "new"


def test_commits_that_come_seldom_are_followed_by_no_rest() -> None:
    rests = Rests()
    assert [rests.after(now, now + 0.002) for now in range(1, 100)] == [0.0] * 99


def test_commits_that_follow_one_another_come_to_keep_to_their_share() -> None:
    rests, now, commit_s, rest_s = Rests(), 1_000.0, 0.0005, 0.0
    for _ in range(100):
        rest_s = rests.after(now, now + commit_s)
        now += commit_s + rest_s
    assert commit_s / (commit_s + rest_s) == pytest.approx(SHARE)


def test_a_slow_disk_makes_rests_no_longer() -> None:
    rests, now = Rests(), 1_000.0
    for _ in range(10):
        rest_s = rests.after(now, now + 0.1)
        now += 0.1 + rest_s
        assert rest_s <= MAX_REST_S
