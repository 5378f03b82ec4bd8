"""Who is here, and where their cursors are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collab.log.entry import Ordered, Point
from collab.rooms.history import History
from collab.rooms.presence import COLORS, MAX_CARRY, Presence, bounded, color_of
from collab.text import Change, Text


class Document:
    """A history of single changes, and a presence over it."""

    def __init__(self, text: str) -> None:
        self.text = Text.of(text)
        self.history = History(Point(1, "mark", 0))
        self.presence = Presence(self.history)

    def change(self, start: int, end: int, insert: str) -> None:
        self.update(Change.replace(len(self.text), start, end, insert))

    def update(self, update: Change) -> None:
        self.text = update.apply(self.text)
        self.history.append(
            Ordered(
                client="typist",
                seq=1,
                author="typist",
                at=1,
                first=self.history.end.revision + 1,
                weight=0,
                before=Point(0, "", 0),
                mark="mark",
                updates=(update,),
                changes=(b"[]",),
                text=self.text,
            )
        )

    def told(self, since: int = -1, besides: str = "", visible: int | None = None) -> Any:
        visible = self.history.end.revision if visible is None else visible
        message = self.presence.news(since, visible, len(self.text)).message(besides)
        return None if message is None else json.loads(message)

    def ranges(self, client: str) -> Any:
        (peer,) = [peer for peer in self.told()["peers"] if peer["client"] == client]
        return peer["revision"], peer["ranges"]


def test_a1_positions_are_carried_forward_to_the_visible_revision() -> None:
    document = Document("hello world")
    document.presence.join("ada", "Ada", "#000000")
    document.presence.move("ada", 1, [(0, 5), (11, 6)])
    document.change(0, 0, "> ")
    document.change(5, 8, "")
    assert document.ranges("ada") == (3, [[0, 5], [10, 5]])


def test_a1_positions_outside_are_clamped() -> None:
    document = Document("abc")
    document.presence.join("ada", "Ada", "#000000")
    document.presence.move("ada", 1, [(2, 99)])
    assert document.ranges("ada") == (1, [[2, 3]])
    document.presence.move("ada", 1, [(99, 99)])
    document.change(0, 0, "x")
    assert document.ranges("ada") == (2, [[4, 4]])


def test_a1_positions_of_a_revision_to_come_are_passed_on_as_they_are() -> None:
    document = Document("abc")
    document.presence.join("ada", "Ada", "#000000")
    document.presence.move("ada", 7, [(50, 50)])
    assert document.ranges("ada") == (7, [[50, 50]])


def test_a1_empty_ranges_are_a_presence_without_a_cursor() -> None:
    document = Document("abc")
    document.presence.join("ada", "Ada", "#000000")
    document.presence.move("ada", 1, [(1, 1)])
    document.presence.move("ada", 1, [])
    assert document.ranges("ada")[1] == []


def test_a_cursor_that_did_not_move_for_long_is_left_out() -> None:
    """The work for one who joins is bounded."""
    document = Document("abc")
    document.presence.join("ada", "Ada", "#000000")
    document.presence.move("ada", 1, [(1, 1)])
    for _ in range(MAX_CARRY):
        document.change(0, 0, "x")
    assert document.ranges("ada")[1] == [[MAX_CARRY + 1, MAX_CARRY + 1]]
    for _ in range(MAX_CARRY + 1):
        document.change(0, 0, "x")
    assert document.ranges("ada")[1] == []


def test_the_work_of_carrying_cursors_is_bounded_by_what_it_meets() -> None:
    """Many ranges over wide updates: the cursors are left out, the peers are not."""
    document = Document("x" * 2_000)
    for client in ("ada", "bob"):
        document.presence.join(client, client, "#000000")
        document.presence.move(client, 1, [(place, place) for place in range(100)])
    wide = Change.from_json([[1, "y"], 1] * 1_000)
    document.update(wide)
    peers = document.told()["peers"]
    assert [len(peer["ranges"]) for peer in peers] == [0, 0]
    document.presence.move("ada", 2, [(5, 5)])
    document.update(wide)
    assert document.ranges("ada") == (3, [[5, 5]])


def test_a2_only_what_changed_is_told_and_only_the_latest() -> None:
    document = Document("abc")
    presence = document.presence
    presence.join("ada", "Ada", "#000000")
    presence.join("bob", "Bob", "#111111")
    known = presence.version
    assert document.told(since=known) is None
    presence.move("bob", 1, [(1, 1)])
    presence.move("bob", 1, [(2, 2)])
    assert document.told(since=known) == {
        "type": "presence",
        "peers": [
            {"client": "bob", "name": "Bob", "color": "#111111", "revision": 1, "ranges": [[2, 2]]}
        ],
        "left": [],
    }


def test_a2_nobody_is_told_of_themselves() -> None:
    document = Document("abc")
    document.presence.join("ada", "Ada", "#000000")
    assert document.told(besides="ada") is None


def test_a2_those_who_leave_are_named_until_they_are_back() -> None:
    document = Document("abc")
    presence = document.presence
    presence.join("ada", "Ada", "#000000")
    known = presence.version
    presence.leave("ada")
    assert document.told(since=known)["left"] == ["ada"]
    assert document.told(since=presence.version) is None
    assert document.told(since=-1) is None
    presence.join("ada", "Ada", "#000000")
    back = document.told(since=known)
    assert (back["left"], [peer["client"] for peer in back["peers"]]) == ([], ["ada"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([], []),
        ([(1, 2), (3, 4), (5, 6)], [(1, 2), (3, 4)]),
        ([(-1, 5)], [(0, 5)]),
        ([(2, 10**15)], [(2, 1_000)]),
    ],
)
def test_l1_ranges_are_bounded(sent: list[tuple[int, int]], kept: list[tuple[int, int]]) -> None:
    assert bounded(sent, max_ranges=2, max_units=1_000) == kept


def test_a_users_colour_stays_and_is_readable() -> None:
    assert color_of("ada") == color_of("ada")
    assert len({color_of(str(user)) for user in range(200)}) == len(COLORS)
    for color in COLORS:
        channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 4.5, f"{color} on white (WCAG 2.2, 1.4.3)"
