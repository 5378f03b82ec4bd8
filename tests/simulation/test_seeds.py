"""Runs of the whole world: hundreds each time, and those again that found something."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.faults import Plan
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = 200
AT_ONCE = 20

FOUND = {
    "a server goes on healing under a run of Redis that is gone": 500,
    "a server that has just come begins the stream while others offer more": 134,
    "a client settles anew what another server has shown": 2430,
    "a server is paused with what nobody else has": 461,
    "a server wakes with other deletions than those that hold": 1060,
    "a push that was ordered and not heard is lost with its run": 12141,
}


@contextmanager
def no_collection() -> Iterator[None]:
    """What is thrown away is thrown away in between: it would take half of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


@pytest.mark.parametrize("first", range(1, SEEDS, AT_ONCE))
def test_the_promises_hold_whatever_goes_wrong(first: int) -> None:
    with no_collection():
        for seed in range(first, first + AT_ONCE):
            World(seed).run()


@pytest.mark.parametrize("seed", FOUND.values(), ids=FOUND.keys())
def test_what_was_found_once_is_not_there_any_more(seed: int) -> None:
    World(seed).run()


def test_one_server_without_redis_keeps_the_promises() -> None:
    with no_collection():
        for seed in range(AT_ONCE):
            World(seed, redis=False).run()


def test_everybody_types_and_reads_where_nothing_goes_wrong() -> None:
    world = World(1, Plan(redis=True, servers=3, people=4, seconds=10.0))
    world.run()
    assert world.documents[0].saved.revision > 20
    assert len(set(world.people[0].text)) > 10
    assert {end.peer.machine.name for person in world.people for end in person.ends} > {"server1"}


def test_a_change_of_access_holds_on_every_server_at_once_where_nothing_goes_wrong() -> None:
    """X2: every due is soon, and some people are refused, and some sent away."""
    noted = ""
    with no_collection():
        for seed in range(AT_ONCE):
            changes = [1.0 + seed / 50, 2.0, 4.0, 6.0]
            plan = Plan(redis=True, servers=3, people=4, seconds=9.0, changes=changes)
            world = World(seed, plan)
            world.run()
            noted += "\n".join(world.trace)
    assert "may not write, and keeps" in noted
    assert "is removed now" in noted


PRINT = "from tests.simulation.world import World; w = World(7); w.run(); print(w.digest())"


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    World(6).run()
    world = World(7)
    world.run()
    other = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINT],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.strip() == world.digest()
