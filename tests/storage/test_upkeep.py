"""Documents stay quick to open: segments are merged, snapshots taken and thinned out."""

from __future__ import annotations

import asyncio
import itertools
import random
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from sqlalchemy.exc import OperationalError

from collab.errors import Damaged, NotFound
from collab.log.entry import Point
from collab.rooms.room import Room
from collab.storage import documents, history, segments, upkeep
from collab.storage.upkeep import MAX_LOOSE, merge, take_snapshot
from collab.text import Text
from tests.rooms.neighbouring import now, played
from tests.storage.saving import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collab.log.entry import Ordered
    from collab.storage.database import Database
    from tests.storage.saving import Bench


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is due soon, and little is kept."""
    monkeypatch.setattr(upkeep, "MAX_LOOSE", 5)
    monkeypatch.setattr(upkeep, "MERGED_BYTES", 900)
    monkeypatch.setattr(upkeep, "SNAPSHOT_WEIGHT", 3_000)
    monkeypatch.setattr(history, "MAX_BASE_DISTANCE", 25)
    monkeypatch.setattr(history, "MAX_BASE_WEIGHT", 8_000)


async def keep(bench: Bench, document: Document, last: Ordered) -> None:
    """What the upkeep does after a commit, at once."""
    (row,) = await bench.rows("select loose_segments, snapshot_weight from documents")
    kept = upkeep.Kept(document.id, last, *row)
    if kept.snapshot_is_due:
        await take_snapshot(bench.database, document.id, last)
    if kept.merge_is_due:
        await merge(bench.database, document.id)


async def count(bench: Bench, table: str) -> int:
    ((rows,),) = await bench.rows(f"select count(*) from {table}")
    return int(rows)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_merged_and_dropped_every_revision_can_be_read(
    bench: Bench, seed: int
) -> None:
    """Random pushes, some void and some of several updates, in random groups."""
    rng = random.Random(seed)
    document = await bench.document("d")
    texts, pushed = [""], list[tuple[int, str, int, bool, Any]]()
    for _ in range(60):
        for _ in range(rng.randint(1, 6)):
            if rng.random() < 0.1:
                push = document.settle("eve", len(texts))
            else:
                push = document.type(*rng.choices("abc😀\n", k=rng.randint(1, 3)))
            bench.writer.put("d", push, document)
            for update in push.updates:
                texts.append(str(update.apply(Text.of(texts[-1]))))
            for revision, change in enumerate(push.changes, push.first):
                pushed.append((revision, push.client, push.seq, push.void, change))
        await document.heard()
        await keep(bench, document, document.last)

    saved = await history.load(bench.database, "d")
    assert (str(saved.text), saved.end) == (texts[-1], document.room.history.end)
    assert saved.end.revision - saved.start.revision >= 25
    again, room = Room.restore(saved).history, document.room.history
    assert again.items(saved.start.revision, room.end.revision, 10**6) == room.items(
        saved.start.revision, room.end.revision, 10**6
    )
    assert list(again.since(saved.start.revision)) == list(room.since(saved.start.revision))
    assert again.weight == room.end.weight - saved.start.weight
    for revision in range(len(texts)):
        assert str(await history.text_at(bench.database, "d", revision)) == texts[revision]
    for after in (0, 1, 30, len(texts) - 2, len(texts) - 1):
        found = await history.updates(bench.database, "d", after, 20)
        assert [
            (each.revision, each.client, each.seq, each.void, each.change) for each in found
        ] == pushed[after : after + 20]
    assert await count(bench, "segments") < 60
    assert await count(bench, "snapshots") >= 3


@pytest.mark.usefixtures("small")
async def test_opening_reads_a_snapshot_and_a_tail_and_nothing_before(bench: Bench) -> None:
    """Shown by taking away what lies before."""
    document = await bench.document("d")
    for number in range(120):
        await bench.save(document, f"{number} ")
        await keep(bench, document, document.last)
    saved = await history.load(bench.database, "d")
    assert saved.start.revision > 50
    await bench.rows(f"delete from segments where last_revision <= {saved.start.revision}")
    await bench.rows("delete from snapshots where revision < (select max(revision) from snapshots)")
    again = await history.load(bench.database, "d")
    assert str(again.text) == str(document.room.text)
    assert again == saved


@pytest.mark.usefixtures("small")
async def test_what_is_heavy_is_read_no_further_back_than_a_base_may_lie(bench: Bench) -> None:
    document = await bench.document("d")
    for _ in range(12):
        await bench.save(document, "x" * 1_000)
    saved = await history.load(bench.database, "d")
    assert saved.start.revision == 0  # there is no snapshot yet
    await take_snapshot(bench.database, "d", document.last)
    saved = await history.load(bench.database, "d")
    weight = saved.end.weight - saved.start.weight
    assert 8_000 <= weight < 8_000 + 2 * 1_300
    assert Room.restore(saved).history.reaches(saved.end.revision - 6)


@pytest.mark.usefixtures("small")
async def test_snapshots_grow_sparser_with_their_age(bench: Bench) -> None:
    document = await bench.document("d")
    for number in range(400):
        await bench.save(document, f"{number % 10}")
        await keep(bench, document, document.last)
    weights = [row[0] for row in await bench.rows("select weight from snapshots order by revision")]
    assert len(weights) > 4
    spacing = upkeep.SPACING * 3_000
    assert all(b - a >= spacing for a, b in itertools.pairwise(weights[:-2]))
    assert document.room.history.end.weight - weights[-1] < 2 * 3_000


async def test_a_long_text_is_written_less_often() -> None:
    assert upkeep.snapshot_distance(1_000) == upkeep.snapshot_distance(10_000)
    assert upkeep.snapshot_distance(10_000_000) == 2_500_000


async def test_loose_segments_are_merged_when_there_are_many(bench: Bench) -> None:
    """By the task itself."""
    document = await bench.document("d")
    for _ in range(MAX_LOOSE):
        await bench.save(document, "x")
    assert await count(bench, "segments") == MAX_LOOSE

    async def are_merged() -> bool:
        return await count(bench, "segments") == 1

    await bench.upkept(are_merged)
    assert await bench.rows("select loose_segments, merged_revision from documents") == [(1, 0)]
    assert str((await history.load(bench.database, "d")).text) == "x" * MAX_LOOSE


@pytest.mark.usefixtures("small")
async def test_large_segments_are_deflated_and_left_alone(bench: Bench) -> None:
    document = await bench.document("d")
    for _ in range(9):
        await bench.save(document, "all the same " * 30)
    await merge(bench.database, "d")
    rows = await bench.rows("select last_revision, pushes from segments order by 1")
    assert [revision for revision, _ in rows] == [3, 6, 9]
    assert all(len(pushes) < 400 for _, pushes in rows)
    ((merged, loose),) = await bench.rows("select merged_revision, loose_segments from documents")
    assert (merged, loose) == (9, 0)
    await bench.save(document, "more", "and more")
    await merge(bench.database, "d")
    assert (await bench.rows("select last_revision, pushes from segments order by 1"))[:3] == rows
    assert str((await history.load(bench.database, "d")).text) == str(document.room.text)


async def test_what_is_committed_while_segments_are_put_together_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await bench.document("d")
    await bench.save(document, "a")
    await bench.save(document, "b")
    write = bench.database.write

    async def after_another_commit(work: Any) -> Any:
        monkeypatch.setattr(bench.database, "write", write)
        await bench.save(document, "c")
        return await write(work)

    monkeypatch.setattr(bench.database, "write", after_another_commit)
    await merge(bench.database, "d")
    found = await bench.rows("select first_revision, last_revision from segments order by 1")
    assert found == [(1, 2), (3, 3)]
    assert await bench.rows("select loose_segments from documents") == [(2,)]
    assert str((await history.load(bench.database, "d")).text) == "cba"


async def test_a_document_that_is_deleted_meanwhile_is_no_error(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.save(document, "a")
    await bench.save(document, "b")
    loose = await bench.database.look_up(lambda connection: upkeep._read_loose(connection, "d"))
    assert len(loose) == 2
    await bench.database.write(lambda connection: documents.delete(connection, "d"))
    await merge(bench.database, "d")
    await take_snapshot(bench.database, "d", document.last)
    assert await count(bench, "segments") == await count(bench, "snapshots") == 0


async def test_upkeep_that_fails_is_tried_at_the_next_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task goes on."""
    failed: list[str] = []

    async def fail(_database: object, document_id: str, *_: object) -> None:
        failed.append(document_id)
        if len(failed) == 1:
            raise OperationalError("merge", None, OSError("the disk is full"))

    monkeypatch.setattr(upkeep, "MAX_LOOSE", 1)
    monkeypatch.setattr(upkeep, "merge", fail)
    document = await bench.document("d")
    for number in (1, 2):
        await bench.save(document, "x")
        await bench.upkept(partial(as_many, failed, number))
    assert failed == ["d", "d"]


async def as_many(found: list[str], number: int) -> bool:
    return len(found) >= number


@played
async def test_after_each_document_the_upkeep_rests_in_proportion_to_its_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Documents that were opened together are due together: commits are not to wait for them all,
    nor the last of them for long.
    """
    began, work_s, done = list[float](), [0.01, 0.1, 60.0, 0.0], asyncio.Event()

    async def work(*_: object) -> None:
        await asyncio.sleep(work_s[len(began)])
        began.append(now() - work_s[len(began)])
        if len(began) == len(work_s):
            done.set()

    monkeypatch.setattr(upkeep, "merge", work)
    keeper = upkeep.Upkeep(cast("Database", None))
    last = Document("d").type("x")
    keeper.look(upkeep.Kept(name, last, MAX_LOOSE, 0) for name in "abcd")
    task = asyncio.create_task(keeper.run(), name="upkeep")
    await done.wait()
    task.cancel()
    assert began == pytest.approx([0, 0.04, 0.44, 0.44 + 60 + upkeep.LONGEST_REST_S])


async def test_there_is_no_text_at_a_revision_that_is_not_saved(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.save(document, "a")
    for revision in (-1, 2):
        with pytest.raises(NotFound):
            await history.text_at(bench.database, "d", revision)
    with pytest.raises(NotFound):
        await history.text_at(bench.database, "another", 0)
    with pytest.raises(NotFound):
        await history.updates(bench.database, "another", 0, 10)
    for after in (1, 2**53):
        assert await history.updates(bench.database, "d", after, 10) == []


async def test_for_a_page_of_updates_no_more_is_read_than_is_needed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def noted(*asked: Any) -> Iterator[segments.Segment]:
        for segment in segments.holding(*asked):
            read.append(segment.last_revision)
            yield segment

    monkeypatch.setattr(history, "holding", noted)
    document = await bench.document("d")
    for number in range(20):
        await bench.save(document, str(number % 10))
    page = await history.updates(bench.database, "d", 3, 5)
    assert [update.revision for update in page] == read == [4, 5, 6, 7, 8]
    read.clear()
    page = await history.updates(bench.database, "d", 3, 10, max_bytes=20)
    assert [update.revision for update in page] == read == [4]


@pytest.mark.parametrize(
    "damage",
    [
        "update segments set pushes = substr(pushes, 3) where first_revision = 2",
        "update segments set mark_before = 'another' where first_revision = 2",
        "update segments set last_revision = 5 where first_revision = 3",
        "delete from segments where first_revision = 1",
        "delete from segments where first_revision = 3",
        "delete from segments",
    ],
)
async def test_damage_is_found_before_anything_is_shown(bench: Bench, damage: str) -> None:
    document = await bench.document("d")
    for text in "abc":
        await bench.save(document, text)
    await bench.rows(damage)
    with pytest.raises(Damaged):
        await history.load(bench.database, "d")
    with pytest.raises(Damaged):
        await history.text_at(bench.database, "d", 3)


def test_a_segment_reads_as_it_was_written() -> None:
    written = b'[["ada",1,"a",2,"m",false,[[[0,"x"]],[1]]]]'
    assert msgspec.json.decode(written)
    begin = Point(4, "before", 10)
    for stored in (written, segments.deflated(written)):
        (push,) = segments.Segment(begin, 6, stored).read()
        assert (push.first, push.last, push.changes) == (5, 6, (b'[[0,"x"]]', b"[1]"))
        assert segments.encode([push]) == written


async def test_a_snapshot_is_taken_only_of_a_history_that_is_there(bench: Bench) -> None:
    """Not where a backup was put in its place, however long it is by now."""
    document, stranger = await bench.document("d"), Document("d")
    await bench.save(document, "ours", "and more")
    for push in (stranger.type("x" * 100), stranger.type("y")):
        await take_snapshot(bench.database, "d", push)
        assert await count(bench, "snapshots") == 0
    first, end = document.pushes[0], document.pushes[-1]
    for push in (end, msgspec.structs.replace(end, mark="another", weight=10**9)):
        await take_snapshot(bench.database, "d", push)
        assert await count(bench, "snapshots") == 1
    assert first.last == 1
    assert str((await history.load(bench.database, "d")).text) == str(document.room.text)


async def test_a_long_past_is_merged_bit_by_bit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a migration: never all of it in one transaction."""
    monkeypatch.setattr(upkeep, "MAX_AT_ONCE", 4)
    document = await bench.document("d")
    for number in range(11):
        await bench.save(document, f"{number} ")
    counts = []
    for _ in range(6):
        await merge(bench.database, "d")
        counts.append(await count(bench, "segments"))
        assert str((await history.load(bench.database, "d")).text) == str(document.room.text)
    assert counts == [8, 5, 2, 1, 1, 1]


async def test_one_large_segment_is_merged_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MAX_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(upkeep, "MERGED_BYTES", 2_000)
    document = await bench.document("d")
    await bench.save(document, "x" * 5_000)
    await bench.save(document, "x")
    await merge(bench.database, "d")
    (row,) = await bench.rows("select merged_revision, loose_segments from documents")
    assert row == (1, 1)
    assert await history.text_at(bench.database, "d", 1) == document.pushes[0].text
