"""What a profiler saw is told by parts that add up."""

from __future__ import annotations

from bench import profile
from bench.profile import OTHER, WAITING, Spent, by_part


def test_a_sample_belongs_to_the_part_whose_function_is_innermost() -> None:
    outer = "run (a.py:1);FramedProtocol.data_received (b.py:2);Session.receive (c.py:3)"
    lines = (
        f"{outer} 4",
        f"{outer};Room.judge (d.py:4);rebase (e.py:5) 3",
        "run (a.py:1);somebody (f.py:6) 2",
    )
    assert by_part(lines) == {"decode, check": 4, "judge, rebase": 3, OTHER: 2}


def test_who_waits_takes_nothing_wherever_it_waits() -> None:
    line = "_Engines.transaction (a.py:1);sqlite3_step (b.so);take (c);pthread_cond_timedwait (d) 9"
    assert by_part([line]) == {WAITING: 9}


def test_the_parts_add_up() -> None:
    spent = Spent({"decode, check": 1.25, OTHER: 2.5}, samples=1_000, server=0.25)
    lines = profile.shown({"100 typists": spent}).split("\n")
    assert [line.split()[-1] for line in lines if line.startswith("together")] == ["3.8"]
    assert not [line for line in lines if line.startswith(WAITING)]
