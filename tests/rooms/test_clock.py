"""Times that agree with what happened before what."""

from __future__ import annotations

from collab.rooms.clock import HybridClock


def test_it_is_the_time_in_milliseconds() -> None:
    assert HybridClock(lambda: 1_700_000_000.5).now() == 1_700_000_000_500


def test_no_two_moments_have_one_time_even_if_the_clock_is_set_back() -> None:
    times = iter((5.0, 5.0, 3.0, 5.002, 9.0))
    clock = HybridClock(lambda: next(times))
    assert [clock.now() for _ in range(5)] == [5_000, 5_001, 5_002, 5_003, 9_000]


def test_what_comes_after_a_message_is_later_than_what_it_tells_of() -> None:
    ahead, behind = HybridClock(lambda: 900.0), HybridClock(lambda: 100.0)
    told = ahead.now()
    behind.hear(told)
    assert behind.now() > told
    behind.hear(5)
    assert behind.now() > told
