"""What a room keeps of the past."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import pytest

from collab.log.entry import Ordered
from collab.log.rebase import MAX_BASE_DISTANCE
from collab.rooms.history import SLACK, History
from collab.text import Change, Text


def push(first: int, seq: int, updates: int = 1) -> Ordered:
    return Ordered(
        client=f"client {seq % 7}",
        seq=seq,
        author="somebody",
        at=1,
        first=first,
        before="",
        mark=f"mark {seq}",
        updates=(Change.empty(3),) * updates,
        changes=(b"[3]",) * updates,
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
    history, plain = History(0, "start"), Plain()
    seq = 0
    while history.end < revisions:
        seq += 1
        made = push(history.end + 1, seq, rng.randint(1, 4))
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
    while at < history.end:
        items, at, _ = history.items(at, history.end, 60)
        assert at in plain.ends
        collected += msgspec.json.decode(b"[" + items + b"]")
    assert collected == plain.items(0, history.end)


def test_it_keeps_the_rebase_window_and_not_much_more() -> None:
    history, _ = filled(2, 3 * MAX_BASE_DISTANCE)
    assert MAX_BASE_DISTANCE <= history.end - history.start <= MAX_BASE_DISTANCE + SLACK + 4
    assert history.mark_at(history.start) is not None
    assert history.mark_at(history.start - 1) is None
    assert len(history.since(history.end - 5)) == 5


def test_marks_stand_at_the_ends_of_pushes_only() -> None:
    history = History(10, "start")
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
    history = History(10, "start")
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
