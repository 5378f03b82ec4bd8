"""What a room keeps for those who follow its updates."""

from __future__ import annotations

from contextlib import ExitStack
from random import Random

import pytest

from collab.log.entry import Past
from collab.rooms import trail
from collab.rooms.trail import Trail


def push(first: int, *changes: bytes) -> Past:
    return Past(
        client="c", seq=first, author="a", at=0, first=first, mark="m", weight=0, changes=changes
    )


def revisions(kept: Trail, after: int) -> list[int] | None:
    page = kept.after(after)
    return None if page is None else [update.revision for update in page]


def test_a_room_that_nobody_follows_keeps_nothing() -> None:
    kept = Trail()
    kept.ordered(push(1, b"[]"))
    kept.show(1)
    with kept.followed(visible=1, ordered=1):
        assert revisions(kept, 0) is None
        assert revisions(kept, 1) == []


def test_what_is_not_shown_yet_is_not_handed_out() -> None:
    kept = Trail()
    with kept.followed(visible=0, ordered=0):
        kept.ordered(push(1, b"[]"))
        kept.ordered(push(2, b"[]", b"[]"))
        assert revisions(kept, 0) == []
        kept.show(1)
        assert revisions(kept, 0) == [1]
        kept.show(3)
        assert revisions(kept, 0) == [1, 2, 3]
        assert revisions(kept, 2) == [3]


def test_what_was_ordered_before_anybody_followed_comes_from_the_database() -> None:
    kept = Trail()
    kept.ordered(push(1, b"[]"))
    with kept.followed(visible=0, ordered=1):
        kept.ordered(push(2, b"[]"))
        kept.show(2)
        assert revisions(kept, 0) is None
        assert revisions(kept, 1) == [2]


def test_the_last_one_who_leaves_takes_it_all_along() -> None:
    kept = Trail()
    with kept.followed(visible=0, ordered=0):
        with kept.followed(visible=0, ordered=0):
            kept.ordered(push(1, b"[]"))
            kept.show(1)
        assert revisions(kept, 0) == [1]
    with kept.followed(visible=1, ordered=1):
        assert revisions(kept, 0) is None


def test_a_page_is_bounded_and_holds_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "MAX_PAGE", 2)
    monkeypatch.setattr(trail, "MAX_PAGE_BYTES", 10)
    kept = Trail()
    with kept.followed(visible=0, ordered=0):
        kept.ordered(push(1, b"[]", b"[]", b"[]", b"[1000000000]", b"[100000000]", b"[]"))
        kept.show(6)
        assert revisions(kept, 0) == [1, 2]
        assert revisions(kept, 2) == [3]
        assert revisions(kept, 3) == [4]
        assert revisions(kept, 4) == [5]


def test_the_oldest_that_were_shown_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "MAX_KEPT_BYTES", 6)
    kept = Trail()
    with kept.followed(visible=0, ordered=0):
        kept.ordered(push(1, b"[]", b"[]", b"[]", b"[]", b"[]"))
        kept.show(1)
        assert revisions(kept, 0) is None
        assert revisions(kept, 1) == []  # the others are not shown yet, and so still there
        kept.show(5)
        assert revisions(kept, 1) is None
        assert revisions(kept, 2) == [3, 4, 5]


def test_whoever_waits_is_woken_by_what_is_shown_and_by_the_end() -> None:
    kept = Trail()
    with kept.followed(visible=0, ordered=0):
        news = kept.news
        kept.ordered(push(1, b"[]"))
        assert not news.is_set()
        kept.show(1)
        assert news.is_set()
        news = kept.news
        assert not news.is_set()
        kept.close()
        assert news.is_set()
        assert kept.ended


@pytest.mark.parametrize("seed", range(20))
def test_followers_miss_and_repeat_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes on from its own position, here or in the database, which lags behind."""
    random = Random(seed)
    monkeypatch.setattr(trail, "MAX_KEPT", random.randint(1, 20))
    monkeypatch.setattr(trail, "MAX_PAGE", random.randint(1, 5))
    kept = Trail()
    ordered = visible = saved = 0
    followers: dict[ExitStack, int] = {}
    for _ in range(600):
        match random.randrange(6):
            case 0:
                changes = [b"[]"] * random.randint(1, 4)
                kept.ordered(push(ordered + 1, *changes))
                ordered += len(changes)
            case 1:
                visible = random.randint(visible, ordered)
                kept.show(visible)
            case 2:
                saved = random.randint(saved, visible)
            case 3 if len(followers) < 4:
                stack = ExitStack()
                stack.enter_context(kept.followed(visible, ordered))
                followers[stack] = random.randint(0, visible)
            case 4 if followers and random.random() < 0.2:
                stack = random.choice(list(followers))
                stack.close()
                del followers[stack]
            case _ if followers:
                stack = random.choice(list(followers))
                after = followers[stack]
                page = revisions(kept, after)
                if page is None:
                    page = list(range(after + 1, min(after + 3, saved) + 1))
                assert page == list(range(after + 1, after + 1 + len(page))), f"seed {seed}"
                assert all(revision <= visible for revision in page)
                followers[stack] += len(page)
    kept.show(ordered)
    for after in followers.values():
        while after < ordered:
            page = revisions(kept, after)
            after += len(page) if page is not None else 1
            assert page != [], f"seed {seed}"
