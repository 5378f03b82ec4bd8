"""What a room keeps of the past."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import pytest

from collab.log.entry import Ordered, Past, Point
from collab.log.rebase import MAX_BASE_DISTANCE, MAX_BASE_WEIGHT
from collab.rooms.history import SLACK, WEIGHT_SLACK, History
from collab.text import Change, Text


def push(first: int, seq: int, updates: int = 1, weight: int = 0) -> Ordered:
    return Ordered(
        client=f"client {seq % 7}",
        seq=seq,
        author="somebody",
        at=1,
        first=first,
        before=Point(0, "", 0),
        mark=f"mark {seq}",
        updates=(Change.empty(3),) * updates,
        changes=(b"[3]",) * updates,
        weight=weight,
        text=Text.of("abc"),
    )


@dataclass
class Plain:
    """A slow history that keeps everything."""

    ends: list[int] = field(default_factory=lambda: [0])
    pushes: list[Ordered] = field(default_factory=list)

    def items(self, after: int, upto: int) -> list[list[object]]:
        return [
            [each.client, each.seq, [3]]
            for each in self.pushes
            if after < each.first and each.last <= upto
            for _ in each.updates
        ]


def filled(seed: int, revisions: int) -> tuple[History, Plain]:
    rng = random.Random(seed)
    history, plain = History(Point(0, "start", 0)), Plain()
    seq = 0
    while history.end.revision < revisions:
        seq += 1
        made = push(history.end.revision + 1, seq, rng.randint(1, 4))
        history.append(made)
        plain.pushes.append(made)
        plain.ends.append(made.last)
    return history, plain


@pytest.mark.parametrize("revisions", [1, 50, MAX_BASE_DISTANCE + 2 * SLACK])
def test_it_gives_the_pushes_between_any_two_of_their_ends(revisions: int) -> None:
    history, plain = filled(revisions, revisions)
    rng = random.Random(revisions)
    kept = [end for end in plain.ends if end >= history.start]
    for _ in range(50):
        after, upto = sorted(rng.sample(kept, 2))
        items, end, mark = history.items(after, upto, 10**9)
        assert msgspec.json.decode(b"[" + items + b"]") == plain.items(after, upto)
        assert (end, mark) == (upto, history.mark_at(upto))


def test_it_gives_as_many_pushes_as_fit_and_one_at_least() -> None:
    history, plain = filled(1, 100)
    at, collected = 0, []
    while at < history.end.revision:
        items, at, _ = history.items(at, history.end.revision, 60)
        assert at in plain.ends
        collected += msgspec.json.decode(b"[" + items + b"]")
    assert collected == plain.items(0, history.end.revision)


def test_it_keeps_the_rebase_window_and_not_much_more() -> None:
    history, _ = filled(2, 3 * MAX_BASE_DISTANCE)
    assert (
        MAX_BASE_DISTANCE <= history.end.revision - history.start <= MAX_BASE_DISTANCE + SLACK + 4
    )
    assert history.mark_at(history.start) is not None
    assert history.mark_at(history.start - 1) is None
    assert len(history.since(history.end.revision - 5)) == 5


def test_marks_stand_at_the_ends_of_pushes_only() -> None:
    history = History(Point(10, "start", 0))
    history.append(push(11, 1, 3))
    assert [history.mark_at(revision) for revision in range(9, 15)] == [
        None,
        "start",
        None,
        None,
        "mark 1",
        None,
    ]


def test_it_knows_who_pushed_what_since_when() -> None:
    history = History(Point(10, "start", 0))
    history.append(push(11, 1, 2))
    history.append(push(13, 8))
    assert history.has("client 1", 8, 10)
    assert history.has("client 1", 8, 12)
    assert not history.has("client 1", 8, 13)
    assert not history.has("client 1", 1, 12)
    assert history.last_seq("client 1", 10) == 8
    assert history.last_seq("client 1", 13) == -1
    assert history.last_seq("client 2", 0) == -1
    assert history.took_effect("client 1", 1)
    assert not history.took_effect("client 1", 2)


def test_p5_a_base_may_lie_behind_by_so_much_weight_and_no_more() -> None:
    """Whatever is kept besides: verdicts depend on the log alone."""
    half = MAX_BASE_WEIGHT // 2
    history = History(Point(10, "start", 5))
    for place in range(4):
        history.append(push(11 + place, place, weight=5 + (place + 1) * half))
    assert history.start == 11  # where it was cut
    assert [history.reaches(base) for base in (11, 12, 13, 14)] == [False, True, True, True]
    history.append(push(15, 5, weight=history.end.weight + 1))
    assert [history.reaches(base) for base in (12, 13, 14, 15)] == [False, True, True, True]
    assert history.mark_at(12) is not None  # it is kept, although it is no base any more
    assert history.weight == MAX_BASE_WEIGHT + 1


def test_a_push_that_weighs_more_than_the_window_is_the_window() -> None:
    history = History(Point(0, "start", 0))
    for place in range(3):
        history.append(push(1 + place, place, weight=(place + 1) * 2 * MAX_BASE_WEIGHT))
    assert [history.reaches(base) for base in (1, 2, 3)] == [False, False, True]
    assert history.since(2) == [Change.empty(3)]


def test_what_was_read_from_the_database_is_decoded_when_it_is_asked_for() -> None:
    pasts = [
        Past(
            client="ada",
            seq=number,
            author="ada",
            at=1,
            first=number,
            mark=f"mark {number}",
            weight=number,
            changes=(b'[%d,[0,"x"]]' % number,),
        )
        for number in range(1, 20)
    ]
    history = History(Point(0, "start", 0), pasts)
    history.append(push(20, 20, weight=20))
    changes = [Change.replace(number, number, number, "x") for number in range(1, 20)]
    for since in (19, 15, 17, 3, 0):
        assert history.since(since) == [*changes[since:], Change.empty(3)]
    assert history.items(0, 2, 10**6)[0] == b'["ada",1,[1,[0,"x"]]],["ada",2,[2,[0,"x"]]]'


def test_laws_hold_while_it_is_cut() -> None:
    """Beside a history that keeps everything, with random weights."""
    rng = random.Random(5)
    history = History(Point(0, "start", 0))
    ends = [Point(0, "start", 0)]
    for seq in range(400):
        weight = ends[-1].weight + rng.choice([1, 10, MAX_BASE_WEIGHT // 50, MAX_BASE_WEIGHT // 3])
        made = push(history.end.revision + 1, seq, rng.randint(1, 900), weight)
        history.append(made)
        ends.append(Point(made.last, made.mark, weight))
        end = ends[-1]
        for base in rng.sample(range(end.revision + 1), 20):
            before = max(each for each in ends if each.revision <= base)
            reaches = (
                end.revision - base <= MAX_BASE_DISTANCE
                and end.weight - before.weight <= MAX_BASE_WEIGHT
            )
            assert history.reaches(base) == reaches
            if reaches:
                assert len(history.since(base)) == end.revision - base
        assert history.weight <= MAX_BASE_WEIGHT + WEIGHT_SLACK + weight
        assert history.weight == end.weight - next(
            each.weight for each in ends if each.revision == history.start
        )


def test_its_pushes_can_be_told_again() -> None:
    history, plain = filled(7, 40)
    for after in plain.ends[:-1]:
        told = list(history.pushes(after))
        assert [(each.client, each.seq, each.author, each.at, each.void) for each in told] == [
            (each.client, each.seq, each.author, each.at, each.void)
            for each in plain.pushes
            if each.first > after
        ]
        assert [len(each.updates) for each in told] == [
            len(each.updates) for each in plain.pushes if each.first > after
        ]


@pytest.mark.parametrize("shared", [0, 1, 17, 30])
def test_two_histories_part_after_the_last_mark_that_both_have(shared: int) -> None:
    one, other = History(Point(0, "start", 0)), History(Point(0, "start", 0))
    for seq in range(30):
        one.append(push(one.end.revision + 1, seq, 1 + seq % 3))
    for seq in range(25 + shared):
        number = seq if seq < shared else 100 + seq
        other.append(push(other.end.revision + 1, number, 1 + number % 3))
    assert one.common(other) == other.common(one) == _end_of(one, shared)


def _end_of(history: History, pushes: int) -> int:
    return history.end.revision - sum(
        len(each.updates) for each in list(history.pushes(0))[pushes:]
    )


def test_histories_that_do_not_both_keep_where_they_part_have_nothing_in_common() -> None:
    one, cut = History(Point(0, "start", 0)), History(Point(4, "elsewhere", 4))
    inside = History(Point(3, "mark 1", 3))
    for seq in range(10):
        one.append(push(one.end.revision + 1, seq, 2))
    for history in (cut, inside):
        assert one.common(history) is history.common(one) is None
    later = History(Point(100, "mark 50", 100))
    assert one.common(later) is later.common(one) is None
