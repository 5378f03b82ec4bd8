"""The client's half of the protocol, message by message."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import pytest

from collab.client.errors import Astray, Rejected
from collab.client.replica import Replica
from collab.client.wire import Beat, Limits, Push, Refused, Updates
from collab.errors import InvalidChange
from collab.text import Change, Text
from tests.client.model import LIMITS, Model, Ordered


class Pair:
    """A replica and the model of its server, with nothing between them but what a test says."""

    def __init__(self, text: str = "", **limits: Any) -> None:
        self.limits: Limits = msgspec.structs.replace(LIMITS, **limits)
        self.model = Model(limits=self.limits)
        if text:
            self.model.type([0, *text.split("\n")])
        self.replica = Replica()
        self.replica.welcome(self.model.welcome("me"))
        self.replica.seen()

    def edit(self, *sections: Any) -> None:
        self.replica.edit(Change.from_json(list(sections)))

    def push(self) -> Push:
        push = self.replica.next_push(self.limits)
        assert push is not None
        return push

    def order(self, push: Push) -> Ordered:
        ordered = self.model.push("me", push)
        assert isinstance(ordered, Ordered)
        return ordered

    def receive(self, ordered: Ordered) -> list[Change]:
        """Returns what happened to the visible text."""
        self.replica.receive(ordered.message())
        return self.replica.seen()

    def refused(self, push: Push, code: str) -> Rejected | None:
        return self.replica.refused(Refused(push.seq, code, "because"))

    def reconnect(self) -> None:
        """A new session, up to the end of what it missed."""
        self.replica.welcome(self.model.welcome("me", self.replica.handshake()))
        for message in self.model.since(self.replica.revision):
            self.replica.receive(message)

    @property
    def shown(self) -> str:
        return str(self.replica.text)

    @property
    def confirmed(self) -> str:
        return str(self.replica.confirmed)


def updates_of(push: Push) -> list[Any]:
    return [msgspec.json.decode(raw) for raw in push.updates]


# -- pushing ------------------------------------------------------------------------------------


def test_an_edit_shows_at_once_and_is_confirmed_when_it_comes_back() -> None:
    """P3."""
    pair = Pair("ac")
    pair.edit(1, [0, "b"], 1)
    assert (pair.shown, pair.confirmed) == ("abc", "ac")
    seen = pair.receive(pair.order(pair.push()))
    assert (pair.shown, pair.confirmed, seen) == ("abc", "abc", [])
    assert not pair.replica.unconfirmed


def test_an_edit_that_does_not_fit_changes_nothing() -> None:
    """T4, T5."""
    pair = Pair("a😀")
    for sections in ([2, [0, "b"], 1], [1, [1], 1], [4, [0, "b"]]):
        with pytest.raises(InvalidChange):
            pair.edit(*sections)
    assert (pair.shown, pair.replica.unconfirmed, pair.replica.typed) == ("a😀", [], 0)


def test_there_is_at_most_one_push_in_flight_and_the_rest_goes_into_the_next() -> None:
    """P1, P2."""
    pair = Pair()
    pair.edit([0, "a"])
    first = pair.push()
    pair.edit(1, [0, "b"])
    pair.edit(2, [0, "c"])
    assert pair.replica.next_push(pair.limits) is None
    pair.receive(pair.order(first))
    second = pair.push()
    assert (first.revision, first.seq, updates_of(first)) == (0, 1, [[[0, "a"]]])
    assert (second.revision, second.seq) == (1, 2)
    assert updates_of(second) == [[1, [0, "b"]], [2, [0, "c"]]]


def test_a_push_holds_no_more_updates_than_the_limit() -> None:
    """L1."""
    pair = Pair(max_updates_per_push=2)
    for _ in range(5):
        pair.edit([0, "a"], *([len(pair.shown)] if pair.shown else []))
    sizes = []
    while pair.replica.unconfirmed:
        push = pair.push()
        sizes.append(len(push.updates))
        pair.receive(pair.order(push))
    assert sizes == [2, 2, 1]


def test_a_push_holds_no_more_sections_than_the_limit() -> None:
    """L1."""
    pair = Pair("xxxx", max_sections_per_push=5)
    pair.edit(1, [0, "a"], 3)
    pair.edit(2, [0, "b"], 3)
    assert len(pair.push().updates) == 1


def test_a_paste_that_is_larger_than_a_message_goes_in_parts_and_is_one_edit() -> None:
    """L2."""
    pair = Pair("[]", max_message_bytes=1_024)
    paste = "é😀\n\x01" * 300
    pair.edit(1, [0, *paste.split("\n")], 1)
    pair.edit(len(pair.replica.text), [0, "!"])
    ordered = []
    while pair.replica.unconfirmed:
        push = pair.push()
        assert len(msgspec.json.encode(push)) <= 1_024
        pair.receive(pair.order(push))
        ordered.append(pair.replica.ordered)
        assert pair.shown == f"[{paste}]!"
    assert len(ordered) > 3
    assert set(ordered[:-1]) <= {0, 1}
    assert ordered == sorted(ordered)
    assert str(pair.model.text) == f"[{paste}]!"


# -- receiving ----------------------------------------------------------------------------------


def test_somebody_elses_update_moves_what_is_unconfirmed() -> None:
    """T8."""
    pair = Pair("world")
    pair.edit(5, [0, "!"])
    push = pair.push()
    seen = pair.receive(pair.model.type([0, "Hello "], 5))
    assert (pair.shown, pair.confirmed) == ("Hello world!", "Hello world")
    assert [change.to_json() for change in seen] == [[[0, "Hello "], 6]]
    pair.receive(pair.order(push))
    assert pair.shown == pair.confirmed == str(pair.model.text)


def test_of_two_insertions_at_one_place_the_one_that_is_ordered_first_comes_first() -> None:
    """T8."""
    pair = Pair("[]")
    pair.edit(1, [0, "mine"], 1)
    push = pair.push()
    pair.receive(pair.model.type(1, [0, "theirs"], 1))
    assert pair.shown == "[theirsmine]"
    pair.order(push)
    assert str(pair.model.text) == "[theirsmine]"


def test_an_update_is_own_only_by_client_and_seq_of_the_push_in_flight() -> None:
    """U3."""
    pair = Pair()
    pair.edit([0, "a"])
    push = pair.push()
    pair.receive(pair.model.type([0, "b"], by="me", seq=push.seq + 1))
    pair.receive(pair.model.type(1, [0, "c"], by="you", seq=push.seq))
    assert (pair.confirmed, len(pair.replica.unconfirmed)) == ("bc", 1)
    pair.receive(pair.order(push))
    assert (pair.shown, pair.replica.unconfirmed) == ("bca", [])


def test_a_void_revision_counts_and_changes_nothing() -> None:
    """U3."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    push = pair.push()
    pair.receive(pair.model.void())
    assert (pair.replica.revision, pair.shown, pair.confirmed) == (2, "ab", "a")
    pair.receive(pair.order(push))
    assert pair.confirmed == "ab"


def test_updates_that_leave_a_gap_or_come_twice_are_noticed() -> None:
    """U2."""
    pair = Pair("a")
    first = pair.model.type(1, [0, "b"])
    second = pair.model.type(2, [0, "c"])
    with pytest.raises(Astray):
        pair.receive(second)
    pair.receive(first)
    with pytest.raises(Astray):
        pair.receive(first)


def test_an_update_that_does_not_fit_the_text_is_noticed() -> None:
    pair = Pair("a")
    with pytest.raises(Astray):
        pair.replica.receive(Updates(2, "m", [("you", 1, [7, [0, "b"]])]))


def test_what_was_taken_before_an_update_that_does_not_fit_is_told() -> None:
    pair = Pair("a")
    with pytest.raises(Astray):
        pair.replica.receive(
            Updates(2, "m", [("you", 1, [1, [0, "b"]]), ("you", 2, [7, [0, "c"]])])
        )
    assert [change.to_json() for change in pair.replica.seen()] == [[1, [0, "b"]]]


def test_an_own_update_that_comes_back_otherwise_is_noticed_and_not_lost() -> None:
    """T8, U6: a server that rebases differently is not followed; the new text decides."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    push = pair.push()
    with pytest.raises(Astray):
        pair.replica.receive(Updates(2, "m", [("me", push.seq, [[0, "b"], 1])]))
    pair.order(push)
    pair.replica.stray()
    pair.reconnect()
    assert (pair.shown, pair.replica.unconfirmed) == ("ab", [])


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["rate_limited", "unavailable"])
def test_after_a_passing_refusal_the_same_is_pushed_under_the_next_seq(code: str) -> None:
    """P1, P5."""
    pair = Pair()
    pair.edit([0, "a"])
    assert pair.refused(pair.push(), code) is None
    pair.edit(1, [0, "b"])
    again = pair.push()
    assert (again.seq, updates_of(again)) == (2, [[[0, "a"]], [1, [0, "b"]]])


@pytest.mark.parametrize(
    "code", ["invalid_change", "forbidden", "too_large", "document_full", "of a later version"]
)
def test_after_a_refusal_for_good_the_confirmed_text_shows_and_nothing_is_dropped(
    code: str,
) -> None:
    """P5."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    push = pair.push()
    pair.edit(2, [0, "c"])
    lost = pair.refused(push, code)
    assert lost is not None
    assert (str(lost.confirmed), str(lost.text), len(lost.changes)) == ("a", "abc", 2)
    assert (lost.first, lost.last, lost.refusal.message) == (1, 2, "because")
    assert (pair.shown, pair.replica.next_push(pair.limits)) == ("a", None)
    assert [str(change.apply(lost.text)) for change in pair.replica.seen()] == ["a"]
    pair.edit(1, [0, "d"])
    assert pair.push().seq == 2


def test_a_stale_push_is_tried_again_with_fewer_updates() -> None:
    """P5: what a rebase costs grows with both sides."""
    pair = Pair()
    for _ in range(8):
        pair.edit([0, "a"], *([len(pair.shown)] if pair.shown else []))
    sizes = []
    for _ in range(4):
        push = pair.push()
        sizes.append(len(push.updates))
        pair.refused(push, "stale")
    assert sizes == [8, 4, 2, 1]


def test_a_refusal_of_what_is_not_in_flight_is_noticed() -> None:
    with pytest.raises(Astray):
        Pair().replica.refused(Refused(1, "stale"))


# -- coming back --------------------------------------------------------------------------------


def test_the_handshake_tells_revision_mark_and_the_push_in_flight() -> None:
    """H1."""
    pair = Pair("a")
    assert Replica().handshake() == {}
    assert pair.replica.handshake() == {"revision": "1", "mark": pair.model.mark}
    pair.edit(1, [0, "b"])
    pair.push()
    assert pair.replica.handshake()["inflight"] == "1"
    pair.replica.stray()
    assert pair.replica.handshake() == {"inflight": "1"}


def test_a_push_whose_fate_is_ordered_is_confirmed_by_the_updates_that_follow() -> None:
    """H5, H7."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    pair.order(pair.push())
    pair.model.type(2, [0, "c"])
    pair.replica.welcome(pair.model.welcome("me", pair.replica.handshake()))
    assert pair.replica.next_push(pair.limits) is None
    for message in pair.model.since(1):
        pair.replica.receive(message)
    assert (pair.shown, pair.replica.unconfirmed) == ("abc", [])


def test_a_push_whose_fate_is_void_goes_out_again_under_the_next_seq() -> None:
    """H7."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    late = pair.push()
    pair.reconnect()
    again = pair.push()
    assert (again.seq, again.updates) == (2, late.updates)
    assert isinstance(pair.model.push("me", late), Refused)
    pair.receive(pair.order(again))
    assert pair.confirmed == "ab"


def test_a_fate_may_be_asked_for_again_when_its_welcome_was_lost() -> None:
    """H7."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    pair.order(pair.push())
    pair.model.welcome("me", pair.replica.handshake())
    pair.reconnect()
    assert (pair.shown, pair.replica.unconfirmed) == ("ab", [])


def test_a_welcome_without_the_fate_that_was_asked_for_is_noticed() -> None:
    """H7."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    pair.push()
    with pytest.raises(Astray):
        pair.replica.welcome(pair.model.welcome("me", {"revision": "1", "mark": pair.model.mark}))


def test_a_welcome_at_another_revision_is_noticed() -> None:
    """H5."""
    pair = Pair("a")
    handshake = {"revision": "0", "mark": "a0"}
    with pytest.raises(Astray):
        pair.replica.welcome(pair.model.welcome("me", handshake))


def test_after_a_reset_the_unsent_text_is_carried_over_the_difference() -> None:
    """H6."""
    pair = Pair("one\ntwo\nthree\n")
    pair.edit(8, [0, "2½", ""], 6)
    pair.model = Model(limits=pair.limits, epoch="b")
    pair.model.type([0, "zero", "two", "three", "four", ""])
    pair.reconnect()
    assert pair.confirmed == "zero\ntwo\nthree\nfour\n"
    assert pair.shown == "zero\ntwo\n2½\nthree\nfour\n"
    pair.receive(pair.order(pair.push()))
    assert str(pair.model.text) == pair.shown


def test_after_a_reset_what_was_ordered_is_not_carried_over() -> None:
    """H6, H7: it is in the new text already."""
    pair = Pair("a\n")
    pair.edit(2, [0, "b", ""])
    pair.order(pair.push())
    pair.edit(4, [0, "c", ""])
    pair.replica.stray()
    pair.reconnect()
    assert (pair.confirmed, pair.shown) == ("a\nb\n", "a\nb\nc\n")
    assert updates_of(pair.push()) == [[4, [0, "c", ""]]]


def test_a_fresh_text_tells_what_it_changes_in_the_visible_one() -> None:
    """H6."""
    pair = Pair("a\nb\n")
    pair.edit([0, "x"], 4)
    before = pair.replica.text
    pair.model = Model(epoch="b")
    pair.model.type([0, "a", "c", ""])
    pair.replica.welcome(pair.model.welcome("me", pair.replica.handshake()))
    for change in pair.replica.seen():
        before = change.apply(before)
    assert before == pair.replica.text == Text.of("xa\nc\n")


def test_saved_never_goes_back_on_a_resume_and_begins_anew_with_another_history() -> None:
    """S1, S2, H6."""
    pair = Pair("a")
    pair.edit(1, [0, "b"])
    pair.receive(pair.order(pair.push()))
    pair.replica.heard_saved(2)
    pair.reconnect()
    assert pair.replica.saved_revision == 2
    pair.model = pair.model.restarted_at(1, "b")
    welcome = pair.model.welcome("me", pair.replica.handshake())
    pair.replica.welcome(msgspec.structs.replace(welcome, saved=1))
    assert (pair.replica.saved_revision, pair.replica.saved) == (1, True)


# -- beats and saved ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beat",
    [
        Beat(2, "a1", 0),
        Beat(1, "b1", 0),
        Beat(1, "a1", 0, crc=1),
    ],
    ids=["another revision", "another mark", "another text"],
)
def test_a_beat_that_does_not_fit_is_noticed(beat: Beat) -> None:
    """U5, U6."""
    with pytest.raises(Astray):
        Pair("a").replica.beat(beat)


def test_a_beats_checksum_is_of_the_confirmed_text() -> None:
    """U6."""
    pair = Pair("a😀")
    pair.edit([0, "b"], 3)
    pair.replica.beat(Beat(1, "a1", 1, crc=zlib.crc32("a😀".encode("utf-16-le"))))
    assert pair.replica.saved_revision == 1


def test_an_editor_is_saved_when_its_own_last_update_is_and_nothing_waits() -> None:
    """S1, S2."""
    pair = Pair("a")
    told = [pair.replica.saved]
    pair.edit(1, [0, "b"])
    pair.replica.heard_saved(1)
    told.append(pair.replica.saved)  # it waits
    pair.receive(pair.order(pair.push()))
    pair.receive(pair.model.type(2, [0, "c"]))
    told.append(pair.replica.saved)  # it is ordered, as revision 2
    pair.replica.heard_saved(2)
    told.append(pair.replica.saved)
    pair.replica.heard_saved(1)
    told.append(pair.replica.saved)
    assert told == [True, False, False, True, True]
