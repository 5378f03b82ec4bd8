"""The benches of scale: each runs, keeps its promises in small, and notices a broken one."""

from __future__ import annotations

import json
import math
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench import (
    census,
    closing,
    figures,
    growing,
    hot,
    listing,
    opening,
    ordering,
    returning,
    saved,
    servers,
    slow_reader,
    soak,
)
from bench.ledger import Ledger, Verdict, together, token
from bench.listing import Made, Owner, read_through
from bench.long_history import edits
from bench.peers import idling, install, joining, processes, stage
from bench.peers import opening as beside
from bench.peers.servers import Server
from bench.typist import letters_wrong
from collab.access.tokens import User
from collab.log.entry import Entry
from collab.text import Text
from tests.serving import SECRET, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from types import ModuleType


class InThisLoop:
    """What the benches ask of a server, of one that is no process of its own: those start slowly.

    `bench.server.ServerProcess` is its model.
    """

    cpu_s = 0.0
    rss_bytes = 0

    def __init__(self, url: str) -> None:
        self.url = url

    async def stop(self) -> int:
        return 0


@asynccontextmanager
async def in_this_loop(data_dir: Path, **environment: str) -> AsyncIterator[InThisLoop]:
    settings = {name.removeprefix("COLLAB_").lower(): environment[name] for name in environment}
    async with serving(data_dir / "data", **settings) as server:
        yield InThisLoop(server.url)


def run(bench: ModuleType, arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit status, and what was printed."""
    status = bench.main(arguments.split())
    return status, capsys.readouterr().out


@pytest.mark.parametrize(
    ("bench", "arguments"),
    [
        (slow_reader, "--seconds 0.4 --typists 3"),
        (opening, "--updates 90 --opens 1"),
        (listing, "--few 3 --many 120 --calls 1"),
        (servers, "--seconds 0.2 --rounds 2 --documents 1 --typists 3"),
        (saved, "--seconds 0.4 --documents 2 --typists 2"),
        (saved, "--seconds 0.4 --documents 2 --typists 2 --database postgresql"),
        (saved, "--seconds 0.2 --documents 1 --typists 2 --servers 2"),
    ],
)
def test_a_bench_runs_and_finds_every_promise_kept(
    bench: ModuleType,
    arguments: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "running", in_this_loop)
    monkeypatch.setenv("COLLAB_SECRET", SECRET)
    status, printed = run(bench, arguments, capsys)
    assert status == 0, printed
    assert "WRONG" not in printed
    assert printed.count("\n") >= 5


@asynccontextmanager
async def peer_in_this_loop(
    name: str, folder: Path, core: int | None = None, **environment: str
) -> AsyncIterator[Server]:
    """`bench.peers.servers.serving` for Collab alone."""
    assert name == "collab"
    assert core is None
    async with in_this_loop(folder, **environment) as server:
        port = int(server.url.rpartition(":")[2])
        yield Server(name, port, processes.Tree(os.getpid()))


@pytest.mark.parametrize(
    ("bench", "arguments"),
    [
        (beside, "--updates 40 --opens 3 --servers collab"),
        (joining, "--clients 3 --units 3000 --rounds 1 --servers collab --warm"),
        (idling, "--documents 2 --rounds 1 --quiet 0 --servers collab"),
        (returning, "--missed 30 --unsent 5 --rounds 1"),
        (growing, "--updates 5 --units 900 --pushes 3 --per-push 2 --rounds 1"),
    ],
)
def test_a_bench_beside_the_peers_runs_and_finds_every_text_right(
    bench: ModuleType,
    arguments: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (stage, idling, returning, growing):
        monkeypatch.setattr(module, "serving", peer_in_this_loop)
    monkeypatch.setattr(install, "NODE_MODULES", tmp_path / "nothing is installed")
    monkeypatch.setattr(stage, "SETTLED_S", 0)
    monkeypatch.setattr(growing, "UPKEEP_S", 0)
    monkeypatch.setenv("COLLAB_SECRET", SECRET)
    figures_kept = tmp_path / "figures.json"
    status, printed = run(bench, f"{arguments} --no-pin --json {figures_kept}", capsys)
    assert status == 0, printed
    assert json.loads(figures_kept.read_text())


class CountingInThisLoop(InThisLoop):
    """`bench.memory.Counting` is its model."""

    open_files: Sequence[str] = ()

    def __init__(self, data_dir: Path, _: Path, **environment: str) -> None:
        self._serving = in_this_loop(data_dir, **environment)

    async def start(self) -> None:
        self.url = (await self._serving.__aenter__()).url

    async def kill(self) -> None:
        await self._serving.__aexit__(None, None, None)


def test_rooms_that_were_closed_leave_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted(*_: object) -> list[dict[str, Any]]:
        return [{"objects": {"str": (1, 50)}}]

    for name, value in {
        "Counting": CountingInThisLoop,
        "counted": counted,
        "QUIET_S": 0,
        "POLL_S": 0.02,
        "HEARTBEAT_S": 0.4,
        "ROOM_IDLE_S": 0.01,
    }.items():
        monkeypatch.setattr(closing, name, value)
    monkeypatch.setenv("COLLAB_SECRET", SECRET)
    status, printed = run(closing, "--documents 5 --rounds 1 --at-once 5 --no-pin", capsys)
    assert status == 0, printed
    assert printed.count("\n") == 5


def test_what_rooms_leave_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    before = closing.Held(0, 0, 1, 1, {"dict": (10, 1), "str": (5, 1)})
    after = closing.Held(1, 0, 1, 1, {"dict": (1_010, 1), "str": (5_005, 1)})
    assert closing.report([before, after], 10_000) == ["1 rooms, 0 sessions", "5000 more of str"]
    assert "6015" in capsys.readouterr().out


def test_a_census_tells_what_memory_is_held() -> None:
    held = census.heap()
    assert census.arenas() > 0
    assert held["malloc"] > 0
    assert census.resident() > held["malloc"]


def test_every_push_is_ordered_once_through_both_logs(capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = run(ordering, "--pushes 60 --documents 3 --window 4", capsys)
    assert status == 0, printed
    assert "WRONG" not in printed
    assert "through Redis" in printed


def test_what_a_push_takes_is_told_beside_what_it_took_before(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "figures.json"
    small = "--rounds 1 --pushes 2 --crowds --readers 3 --only read"
    status, printed = run(hot, f"{small} --json {kept}", capsys)
    assert status == 0
    assert "1 types, 3 read" in printed
    figures = json.loads(kept.read_text())
    assert hot.report(figures, figures).count("x 1.00") == len(figures) == 2


def test_a_push_out_of_turn_is_noticed() -> None:
    follower = ordering.Follower()
    follower.ordered(Entry("follower", 2, 0, ordering.LETTER, "bench", 0), "")
    assert follower.done.is_set()
    assert "out of turn" in follower.wrong


def test_a_soak_runs_on_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    small = "--minutes 0.005 --editors 3 --documents 2 --every 0.1 --fill 20"
    status, printed = run(soak, small, capsys)
    assert status == 0, printed
    assert "3 of 3 editors show what REST shows" in printed
    assert "started anew it shows 2 of 2 texts" in printed


def test_percentiles_are_samples_that_so_many_do_not_exceed() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert [figures.percentile(samples, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert figures.percentile([7.0], 0.01) == 7
    assert math.isnan(figures.percentile([], 0.5))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.00123, "1.23"), (0.0456, "45.6"), (1.5, "1500"), (0.000004, "0.004"), (math.nan, "-")],
)
def test_milliseconds_show_three_digits_that_count(seconds: float, shown: str) -> None:
    assert figures.ms(seconds) == shown


def test_a_slope_is_what_is_added_for_each_step() -> None:
    assert figures.slope([(0, 5), (1, 7), (2, 9)]) == 2
    assert figures.slope([(0, 1), (1, 3), (2, 2), (3, 4)]) == pytest.approx(0.8)
    assert math.isnan(figures.slope([(3, 1)]))


def test_a_table_is_aligned() -> None:
    lines = figures.table(("", "p50"), [("first", "1.00"), ("2", "10")]).splitlines()
    assert lines == ["        p50", "first  1.00", "2        10"]


def test_the_ledger_finds_what_is_lost_doubled_or_unknown() -> None:
    """P3: acknowledged is in the history; P4: at most once."""
    kept, lost, doubled, open_there, open_gone, foreign = map(token, range(6))
    ledger = Ledger({kept, lost, doubled}, {open_there, open_gone})
    verdict = ledger.judge(kept + doubled + open_there + doubled + foreign)
    assert verdict == Verdict(
        acknowledged=3, unanswered=2, unanswered_there=1, lost=1, doubled=1, unknown=1
    )
    assert not verdict.is_good
    good = ledger.judge(kept + lost + doubled)
    assert good.is_good
    assert together([verdict, good]).lost == 1


def test_a_token_that_was_cut_is_unknown_and_lost() -> None:
    ledger = Ledger({token(1), token(2)})
    cut = token(1)[:3] + token(2) + token(1)[3:]
    assert not ledger.judge(cut).is_good


class Typed:
    def __init__(self, letter: str, typed: int) -> None:
        self.letter, self.typed = letter, typed


@pytest.mark.parametrize(
    ("text", "wrong"), [("abab", ""), ("aab", "b"), ("aabbb", "b"), ("", "ab"), ("aabbc", "c")]
)
def test_letters_are_counted(text: str, wrong: str) -> None:
    typists = [Typed("a", 2), Typed("b", 2), Typed("c", 0)]
    assert letters_wrong(text, typists) == list(wrong)


class Api:
    """A list as a server shows it that is asked for one page after another."""

    def __init__(self, pages: Sequence[Sequence[Made]]) -> None:
        self._pages = pages

    def get(self, path: str, **query: str) -> Api:
        assert path == "/v1/documents"
        self._page = int(query.get("cursor", 0))
        return self

    @property
    def json(self) -> dict[str, Any]:
        last = self._page == len(self._pages) - 1
        items = [{"id": one.id} for one in self._pages[self._page]]
        return {"items": items, "next": None if last else str(self._page + 1)}


A, B, C = (Made(name, name, 1, 1) for name in "abc")


@pytest.mark.parametrize(
    ("pages", "is_right"),
    [
        ([[A, B], [C]], True),
        ([[A, B]], False),  # one is missing
        ([[A, B], [B, C]], False),  # one comes twice
        ([[A, C], [B]], False),  # two are out of place
    ],
)
def test_a_list_is_right_only_with_every_document_once_in_its_place(
    pages: list[list[Made]], is_right: bool
) -> None:
    owner = Owner(User("ada", "Ada", guest=True), "", [C, A, B])
    _, right = read_through(Api(pages), owner, "title")
    assert right is is_right


def test_what_is_typed_into_a_long_history_fits_and_keeps_the_text_about_as_long() -> None:
    text = Text.of("x" * 50_000)
    for change in edits(len(text), 20_000):
        text = change.apply(text)
        assert 45_000 < len(text) < 55_000
