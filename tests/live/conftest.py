"""Every test here speaks to a server over sockets of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.live.raw import Raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(autouse=True)
async def clean(peers_are_closed: None) -> AsyncIterator[None]:
    """What `peers_are_closed` does, for every test, and the same for raw connections."""
    yield
    await Raw.close_all()
