"""What an operator's monitor asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import text

from tests.api.client import Api, assert_problem
from tests.serving import PATIENCE_S, serving

if TYPE_CHECKING:
    from pathlib import Path

    from bench.redis import RedisServer


async def test_a_server_that_runs_is_alive_and_ready(api: Api) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await api.http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_without_its_tables_it_is_alive_and_not_ready(api: Api) -> None:
    await api.services.database.write(lambda c: c.execute(text("DROP TABLE alembic_version")))
    answer = await api.http.get("/readyz")
    detail = "the database does not answer"
    assert_problem(answer, 503, "unavailable", "Not available now", detail)
    assert (await api.http.get("/healthz")).status_code == 200


async def test_without_redis_a_server_of_many_is_alive_and_not_ready(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with serving(tmp_path, redis_url=redis.url, redis_timeout_s=0.5) as server:
        assert (await server.http.get("/readyz")).status_code == 200
        assert "collab_order_ready 1.0" in (await server.http.get("/metrics")).text
        redis.kill()
        async with asyncio.timeout(PATIENCE_S):
            while (await server.http.get("/readyz")).status_code == 200:
                pass
        assert (await server.http.get("/healthz")).status_code == 200
        assert "collab_order_ready 0.0" in (await server.http.get("/metrics")).text
