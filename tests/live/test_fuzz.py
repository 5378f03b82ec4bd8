"""Thousands of random messages, broken, odd and valid, while somebody types beside them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from bench.fuzz import besiege
from bench.fuzz_messages import LIMITS
from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 5_000


@pytest.mark.parametrize("seed", [1])
async def test_whatever_is_sent_the_server_answers_and_others_type_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """L3, P5, P6: every session ends as the protocol says, or goes on; nothing is left of any."""
    caplog.set_level(logging.ERROR)
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    before = asyncio.all_tasks()
    with capture_logs() as logged:
        async with serving(tmp_path, room_idle_s=0, heartbeat_s=5, **LIMITS) as server:
            attack, typed, document_id = await besiege(server.url, MESSAGES, seed)
            await server.closed(document_id)
    assert typed > 0
    assert sum(attack.sent.values()) == MESSAGES
    assert {"ordered", "refused invalid_change", "close 4400", "close 1002"} <= set(attack.answers)
    assert asyncio.all_tasks() == before
    assert not unhandled
    assert not caplog.records
    assert not [line for line in logged if line["log_level"] in {"error", "critical"}]
