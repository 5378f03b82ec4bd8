"""PostgreSQL fails under people who type: they wait, and nothing that was shown is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Literal

    from tests.postgres import Postgres

WORDS = 20


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    async with postgres.database() as made:
        yield made


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_server_that_stops_ends_the_sessions_in_the_end_and_nothing_shown_is_lost(
    tmp_path: Path, url: str, postgres: Postgres, how: Literal["fast", "immediate"]
) -> None:
    """P3, promise 6: what was never shown is settled as void, and it goes on by itself."""
    async with serving(tmp_path, database_url=url, commit_patience_s=0.5) as server:
        document_id = await server.document("kept")
        typist, reader = await server.join(document_id), await server.join(document_id, "Bob")
        await typist.push([4, [0, " and shown"]])
        assert (await reader.hear("updates"))["revision"] == 2
        await typist.hear("updates")

        postgres.server.stop(how)
        await typist.push([14, [0, ", never shown"]])
        assert [await typist.closed(), await reader.closed()] == [1012, 1012]
        assert reader.revision == 2
        headers = await server.authorization()
        for answer in (
            await server.http.post("/v1/documents", json={"title": "Notes"}, headers=headers),
            await server.http.get(f"/v1/documents/{document_id}", headers=headers),
            await server.http.get("/v1/documents", headers=headers),
            await server.http.get("/readyz"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        status, problem = await server.refusal(document_id)
        assert (status, problem["code"]) == (503, "unavailable")

        postgres.server.start()
        assert (await server.http.get("/readyz")).status_code == 200
        back = await server.join(
            document_id,
            client=typist.client_id,
            revision=typist.revision,
            mark=typist.mark,
            inflight=2,
        )
        assert (back.welcome["inflight"], "reset" in back.welcome) == ("void", False)
        await back.push([14, [0, ", and again"]], seq=3)
        await back.hear("updates")
        assert await server.text(document_id) == "kept and shown, and again"


async def test_a_server_that_is_back_in_time_costs_a_delay_and_no_session(
    tmp_path: Path, url: str, postgres: Postgres
) -> None:
    """P3: nothing is shown before it is committed."""
    async with serving(tmp_path, database_url=url, heartbeat_s=0.7) as server:
        document_id = await server.document()
        typist, reader = await server.join(document_id), await server.join(document_id, "Bob")
        postgres.server.stop("immediate")
        await typist.push([[0, "held"]])
        for peer in (typist, reader):
            message = await peer.hear("beat", "updates", "saved")
            assert (message["type"], message["revision"]) == ("beat", 0)
            await peer.send({"type": "beat"})
        postgres.server.start()
        assert (await reader.hear("updates"))["updates"] == [[typist.name, 1, [[0, "held"]]]]
        await typist.hear("updates")
        assert await server.text(document_id) == "held"


async def test_connections_that_are_cut_while_people_type_cost_a_delay_and_no_session(
    tmp_path: Path, url: str, postgres: Postgres
) -> None:
    async with serving(tmp_path, database_url=url) as server:
        document_id = await server.document()
        typist, reader = await server.join(document_id), await server.join(document_id, "Bob")
        for number in range(WORDS):
            await typist.push([[0, "x"], *([number] if number else [])], revision=number)
            if number % 3 == 0:
                postgres.cut_connections()
            await typist.heard(number + 1)
        shown = await reader.heard(WORDS)
        assert [seq for _, seq, _ in shown] == list(range(1, WORDS + 1))
        assert await server.text(document_id) == "x" * WORDS
        assert (await reader.hear("saved"))["revision"] >= 1
