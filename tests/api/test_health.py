"""What an operator's monitor asks."""

from __future__ import annotations

from sqlalchemy import text

from tests.api.client import Api, assert_problem


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
