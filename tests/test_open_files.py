"""As many connections as files may be open."""

from __future__ import annotations

import resource

import pytest

from collab.open_files import OTHERS, connections_allowed


class System:
    """A process's limit, and what it is set to."""

    def __init__(self, soft: int, hard: int) -> None:
        self.limit = soft, hard

    def getrlimit(self, _what: int) -> tuple[int, int]:
        return self.limit

    def setrlimit(self, _what: int, limit: tuple[int, int]) -> None:
        self.limit = limit


INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "soft_then"),
    [
        (100_000, 100_000, 1_000, 100_000),
        (INFINITE, INFINITE, 1_000, INFINITE),
        (256, 100_000, 1_000, 1_000 + OTHERS),
        (256, INFINITE, 1_000, 1_000 + OTHERS),
        (256, 700, 700 - OTHERS, 700),
        (100, 300, 150, 300),
    ],
)
def test_the_limit_is_raised_as_far_as_it_is_needed_and_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int, soft_then: int
) -> None:
    system = System(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    assert connections_allowed(1_000) == allowed
    assert system.limit == (soft_then, hard)
