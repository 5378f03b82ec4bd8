"""The bench of peers: its load works on Collab, and it tells what does not count.

Without peers: those would have to be installed.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bench.peers import __main__ as peers
from bench.peers.load import Pace, Told, Used
from bench.peers.processes import Tree
from bench.peers.rows import Row, judged, shown
from bench.peers.servers import Server
from bench.peers.workloads import Workload
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WORKLOAD = Workload("2 typists", typists=2, per_second=5)
PACE = Pace(warm_up_s=0, seconds=10)


def test_a_load_types_hears_everything_and_compares_texts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def serving_here(name: str, folder: Path, core: int | None) -> AsyncIterator[Server]:
        assert core is None
        async with serving(folder / "data") as server:
            yield Server(name, server.port, Tree(os.getpid()))

    monkeypatch.setattr("bench.peers.servers.serving", serving_here)
    small = "--workload typists --typists 3 --seconds 0.5 --warm-up 0 --rounds 1 --no-pin"
    status = peers.main(f"{small} --servers collab".split())
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "3 typists: collab " in printed
    assert not {"WRONG:", "failed:", "delivered"} & set(printed.split()), printed


def told(window: dict[str, float] | None = None, **changed: Any) -> Told:
    """What a load tells of 2 typists and 10 seconds in which all went well."""
    whole = {"typed": 100, "due": 100, "delivered": 100}
    times = {"count": 100, "p50": 1.0, "p95": 2.0, "p99": 3.0, "most": 4.0}
    given = {
        **whole,
        "window": {**whole, "ms": 10_000, "cpu_ms": 500, "bytes": 1, "presences": 0}
        | (window or {}),
        **dict.fromkeys(("backlog", "drain_ms", "refusals"), 0),
        **dict.fromkeys(("late", "heard", "early", "later"), times),
        "wrong": None,
    }
    return msgspec.convert({**given, **changed}, Told)


def row(*rounds: Told, server: str = "collab") -> Row:
    judgements = [judged(one, Used(1.0, 50_000_000), WORKLOAD, PACE) for one in rounds]
    return Row(WORKLOAD, server, f"{server} 1.0", judgements)


def test_a_good_round_shows_its_figures_and_needs_no_words() -> None:
    good = row(told())
    assert good.notes == []
    assert "2 typists: collab     1.0     2.0     3.0            10      10.0000" in shown([good])


@pytest.mark.parametrize("window", [{"cpu_ms": 9_100}, {"typed": 94}])
def test_where_the_load_was_the_limit_no_figure_is_shown(window: dict[str, float]) -> None:
    limited = row(told(window))
    assert "the load was the limit" in limited.notes[0]
    assert set(limited.as_json()["figures"].values()) == {None}
    assert set(shown([limited]).splitlines()[1].split()[3:]) == {"-"}


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"delivered": 99}, "delivered 99 of 100"),
        ({"backlog": 3}, "does not keep up: 3 deliveries behind at the end"),
        ({"later": {"count": 9, "p50": 9, "p95": 9, "p99": 101, "most": 900}}, "p99 grew"),
        ({"refusals": 1}, "refused 1 pushes"),
        ({"wrong": "two editors show different texts"}, "WRONG: two editors show different texts"),
    ],
)
def test_what_a_server_did_not_do_is_told(changed: dict[str, Any], note: str) -> None:
    bad = row(told(), told(**changed))
    assert note in shown([bad])
    assert bad.is_wrong is note.startswith("WRONG")


def test_more_of_the_same_is_more_but_not_what_differs() -> None:
    many = replace(WORKLOAD, name="9 typists", typists=9)
    assert many.is_more_than(WORKLOAD)
    assert not WORKLOAD.is_more_than(many)
    assert not replace(many, readers=1).is_more_than(WORKLOAD)


def test_collab_stands_against_the_best_peer_that_keeps_up() -> None:
    slow = {"count": 100, "p50": 2.0, "p95": 4.0, "p99": 6.0, "most": 7.0}
    rows = [
        row(told()),
        row(told(heard=slow), server="sharedb"),
        row(told(backlog=90), server="hocuspocus"),
    ]
    assert "collab to the best peer: p50 ms x 0.50 (sharedb)" in shown(rows)
