"""Every test here speaks to a server over sockets of its own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def clean(peers_are_closed: None) -> None:
    """What `peers_are_closed` does, for every test."""
