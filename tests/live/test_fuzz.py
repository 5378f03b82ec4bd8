"""Thousands of random messages, broken, odd and valid, while somebody types beside them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from bench.attacks.host import AUDIENCE, ISSUER, publishing
from bench.fuzz import besiege, strange_tokens
from bench.fuzz_messages import LIMITS
from tests.serving import SECRET, serving

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 5_000


@pytest.mark.parametrize("seed", [1])
async def test_whatever_is_sent_the_server_answers_and_others_type_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """H1, L3, P5, P6, X1, X2: every session ends as the protocol says, or goes on; nothing is left
    of any.
    """
    caplog.set_level(logging.ERROR)
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    before = asyncio.all_tasks()
    with capture_logs() as logged:
        async with (
            publishing() as host,
            serving(
                tmp_path,
                room_idle_s=0,
                heartbeat_s=5,
                jwks_url=host.url,
                jwt_issuer=ISSUER,
                jwt_audience=AUDIENCE,
                **LIMITS,
            ) as server,
        ):
            strange = strange_tokens(SECRET, host)
            attack, typed, document_id = await besiege(server.url, MESSAGES, seed, strange)
            await server.closed(document_id)
    assert typed > 0
    assert sum(attack.sent.values()) == MESSAGES
    assert {
        "ordered",
        "refused invalid_change",
        "refused forbidden",
        "close 4400",
        "close 4401",
        "close 1002",
        "handshake 401",
        "ticket 201",
    } <= set(attack.answers)
    assert asyncio.all_tasks() == before
    assert not unhandled
    assert not caplog.records
    assert not [line for line in logged if line["log_level"] in {"error", "critical"}]
