"""The simulation finds what it is there to find: bugs of the kinds that such systems have.

Each is planted, and must be found within a few seeds; the seeds are those at which it is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.log.entry import next_mark
from collab.log.redis import stream
from collab.log.redis.feed import RedisFeed
from collab.log.redis.healing import Healing
from collab.log.redis.stream import Push
from collab.rooms.open_room import OpenRoom
from collab.rooms.saving import Saving
from collab.rooms.standings import Standings
from tests.simulation.faults import CutEditor, Pause, Plan
from tests.simulation.websocket import ServedConnection
from tests.simulation.world import Failure, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.log.entry import Entry
    from collab.log.redis.healing import Holder
    from collab.storage.runs import Row
    from tests.simulation.faults import Fault


def shown_before_it_is_appended(patch: pytest.MonkeyPatch) -> None:
    """What comes in is shown here at once, and asked for its place in the order afterwards."""
    append = RedisFeed.append

    def show_first(feed: RedisFeed, entry: Entry) -> None:
        append(feed, entry)
        end, encoded = feed.end, entry.encode()
        if feed._sent.find(encoded) is not None:
            push = Push(end.revision + entry.revisions, next_mark(end.mark, encoded), encoded)
            feed._take(end.revision, push)

    patch.setattr(RedisFeed, "append", show_first)


def trimmed_too_early(patch: pytest.MonkeyPatch) -> None:
    """The stream is trimmed beyond what is saved."""
    patch.setattr(stream, "WINDOW", -3)


def healed_over_a_newer_history(patch: pytest.MonkeyPatch) -> None:
    """Whoever has the turn puts its own history in place of the stream's, longer or not."""

    async def put_back(healing: Healing, holder: Holder, row: Row, run: str) -> None:
        standing = await healing._stream.read(holder.end, 1)
        await healing._begin(holder, standing.end, row, run)

    patch.setattr(Healing, "_put_back", put_back)


def not_settled_before_a_fresh_start(patch: pytest.MonkeyPatch) -> None:
    """The fate of a push in flight is told by what was heard so far."""

    async def fate(room: OpenRoom, client: str, seq: int) -> bool:
        room.attendance.settle(client, seq)
        return room.history.took_effect(client, seq)

    patch.setattr(OpenRoom, "fate", fate)


def saved_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """What is given to the writer counts as saved."""
    go_on = Saving.go_on

    def told_at_once(saving: Saving) -> None:
        go_on(saving)
        if saving._given:
            saving._room.saved(saving._unsaved[saving._given - 1].last)

    patch.setattr(Saving, "go_on", told_at_once)


def roles_that_stay(patch: pytest.MonkeyPatch) -> None:
    """A change of access is told, and nobody looks."""
    patch.setattr(Standings, "look", lambda _: None)


def taken_for_there(connection: ServedConnection) -> bool:
    """Whoever sent a handshake is there, however long it was under way."""
    return False


FIRST_SEED: dict[object, int] = {
    trimmed_too_early: 88,
    not_settled_before_a_fresh_start: 720,
}
"""Where to begin with what shows itself seldom."""


@pytest.mark.parametrize(
    "plant",
    [
        roles_that_stay,
        shown_before_it_is_appended,
        trimmed_too_early,
        healed_over_a_newer_history,
        not_settled_before_a_fresh_start,
        saved_before_the_commit,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Failure):
        _run_until_it_is_found(FIRST_SEED.get(plant, 1))


def _run_until_it_is_found(first: int) -> None:
    for seed in range(first, first + 100):
        World(seed).run()


def _let_a_server_sleep() -> None:
    """While it does, editors lose their connections and do not know it at once."""
    cuts = [(2.1 + 1.2 * number, CutEditor(told=False)) for number in range(8)]
    faults: list[tuple[float, Fault]] = [(2.0, Pause(8.0)), *cuts]
    plan = Plan(redis=True, servers=2, people=3, seconds=14.0, faults=faults)
    for seed in range(6, 12):
        World(seed, plan).run()


def test_h7_a_handshake_that_its_client_has_given_up_replaces_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that wakes takes it for the newest: its client has to show that it is there."""
    _let_a_server_sleep()
    monkeypatch.setattr(ServedConnection, "ping", taken_for_there)
    with pytest.raises(Failure, match="a newer session of this client came"):
        _let_a_server_sleep()
