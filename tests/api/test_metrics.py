"""What a server counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from collab.counts import Histogram
from collab.log.rebase import weigh_written
from tests.api.client import Api
from tests.serving import PATIENCE_S, serving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

    from tests.serving import Serving

Serve = Callable[..., AbstractAsyncContextManager[Api]]

pytestmark = pytest.mark.usefixtures("peers_are_closed")

Samples = dict[str, float]


async def read(http: httpx2.AsyncClient) -> Samples:
    """Every sample, by its name and the values of its labels: `collab_pushes_total ordered`."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def until(http: httpx2.AsyncClient, name: str, value: float) -> Samples:
    """Read again and again until a sample has a value."""
    async with asyncio.timeout(PATIENCE_S):
        while (samples := await read(http)).get(name) != value:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return samples


async def test_a_server_that_did_nothing_tells_so(api: Api) -> None:
    samples = await read(api.http)
    assert samples["collab_sessions"] == samples["collab_rooms"] == 0
    for name in (
        "collab_memory_bytes",
        "collab_unsaved_bytes",
        "collab_unsaved_revisions",
        "collab_pushes_total ordered",
        "collab_updates_total",
        "collab_deliveries_total",
        "collab_readings_total",
        "collab_handshakes_total 101",
        "collab_commit_duration_seconds_count",
        "collab_commit_pushes_sum",
        "collab_failed_commits_total",
        "collab_upkeep_total snapshot",
    ):
        assert samples[name] == 0, name
    assert samples["process_open_fds"] > 0


async def test_two_servers_in_one_process_count_apart(serve: Serve) -> None:
    async with serve() as first:
        ada = await first.user()
        await ada.put((await ada.document())["id"], "x", 0)
        assert (await read(first.http))["collab_updates_total"] == 1
    async with serve() as second:
        assert (await read(second.http))["collab_updates_total"] == 0


async def test_sessions_and_rooms_are_what_there_is_now(server: Serving) -> None:
    one, other = await server.document("x" * 1_000), await server.document()
    peers = [await server.join(it) for it in (one, one, other)]
    samples = await read(server.http)
    assert (samples["collab_sessions"], samples["collab_rooms"]) == (3, 2)
    assert samples["collab_readings_total"] == 2
    assert samples["collab_memory_bytes"] > 4_000
    for peer in peers:
        await peer.leave()
    await until(server.http, "collab_sessions", 0)


async def test_pushes_updates_and_deliveries_are_counted(server: Serving) -> None:
    it = await server.document()
    ada, bob = await server.join(it, "Ada"), await server.join(it, "Bob")
    await ada.push([[0, "a"]], [1, [0, "b"]])
    await asyncio.gather(ada.heard(2), bob.heard(2))
    await bob.push([2, [0, "c"]])
    await asyncio.gather(ada.heard(3), bob.heard(3))
    samples = await read(server.http)
    assert samples["collab_pushes_total ordered"] == 2
    assert samples["collab_updates_total"] == 3
    assert samples["collab_deliveries_total"] == 6


async def test_refused_pushes_are_counted_by_their_code(server: Serving) -> None:
    it = await server.document("abc")
    peer = await server.join(it)
    for _ in range(2):
        await peer.push([7])
        assert (await peer.hear("refused"))["code"] == "invalid_change"
    await peer.push(*[[3]] * 1_001)
    assert (await peer.hear("refused"))["code"] == "too_large"
    headers = {"If-Match": '"1"', **await server.authorization()}
    path = f"/v1/documents/{it}/text"
    answer = await server.http.patch(path, json={"change": [1, [1, "x"], 1]}, headers=headers)
    assert answer.status_code == 200
    samples = await read(server.http)
    assert samples["collab_pushes_total invalid_change"] == 2
    assert samples["collab_pushes_total too_large"] == 1
    assert samples["collab_pushes_total ordered"] == 1


async def test_an_edit_over_rest_that_the_room_refuses_is_counted(serve: Serve) -> None:
    async with serve(max_document_units=1_000) as api:
        ada = await api.user()
        it = (await ada.document(text="x" * 900))["id"]
        for _ in range(3):
            answer = await ada.patch(it, {"edits": [{"from": 0, "to": 0, "insert": "y" * 200}]}, 1)
            assert answer.json()["code"] == "document_full"
        samples = await read(api.http)
        assert samples["collab_pushes_total document_full"] == 3
        assert samples["collab_pushes_total ordered"] == 0


async def test_events_are_deliveries(server: Serving) -> None:
    it = await server.document("x")
    headers = {"Accept": "text/event-stream", **await server.authorization()}
    path = f"/v1/documents/{it}/updates"
    async with server.http.stream("GET", path, headers=headers) as response:
        async for part in response.aiter_text():
            if "id: 1" in part:
                break
    assert (await read(server.http))["collab_deliveries_total"] == 1


async def test_commits_are_timed_and_their_pushes_counted(api: Api) -> None:
    ada = await api.user()
    it = (await ada.document())["id"]
    for revision in range(3):
        await ada.put(it, "x" * (revision + 1), revision)
    samples = await read(api.http)
    assert samples["collab_commit_duration_seconds_count"] == 3
    assert samples["collab_commit_duration_seconds_bucket +Inf"] == 3
    assert samples["collab_commit_duration_seconds_sum"] > 0
    assert samples["collab_commit_pushes_sum"] == 3
    assert samples["collab_commit_pushes_bucket 1.0"] == 3


async def test_what_is_not_saved_is_what_commits_wait_with(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await api.user()
    it = (await ada.document())["id"]
    going_on = asyncio.Event()
    commit = api.services.database.commit
    failed = False

    async def wait(work: Callable[..., object]) -> object:
        nonlocal failed
        if work.__module__ == "collab.storage.writer" and not failed:  # not the housekeeping
            failed = True
            raise OperationalError("commit", {}, OSError("the disk is full"))
        await going_on.wait()
        return await commit(work)

    async with api.services.registry.room(it):  # opened before the database is slow
        monkeypatch.setattr(type(api.services.database), "commit", lambda _, work: wait(work))
        putting = asyncio.create_task(ada.put(it, "x", 0))
        try:
            samples = await until(api.http, "collab_unsaved_revisions", 1)
            assert samples["collab_unsaved_bytes"] == weigh_written(b'[[0,"x"]]')
            await until(api.http, "collab_failed_commits_total", 1)
        finally:
            going_on.set()
        assert (await putting).status_code == 200
    samples = await until(api.http, "collab_unsaved_revisions", 0)
    assert samples["collab_unsaved_bytes"] == 0


async def test_handshakes_are_counted_by_their_answer(server: Serving) -> None:
    it = await server.document()
    await server.join(it)
    await server.refusal(it, token="x")
    for missing in ("a", "b"):
        await server.refusal(missing)
    samples = await read(server.http)
    assert samples["collab_handshakes_total 101"] == 1
    assert samples["collab_handshakes_total 401"] == 1
    assert samples["collab_handshakes_total 404"] == 2


async def test_closes_are_counted_by_their_code_whoever_closed(server: Serving) -> None:
    it = await server.document()
    leaving, wrong, odd, deleted = [await server.join(it) for _ in range(4)]
    await leaving.leave()
    await until(server.http, "collab_closes_total 1000", 1)
    await wrong.send("{}")
    assert await wrong.closed() == 4400
    await until(server.http, "collab_closes_total 4400", 1)
    await odd.connection.close(3456)
    await until(server.http, "collab_closes_total other", 1)
    await server.http.delete(f"/v1/documents/{it}", headers=await server.authorization())
    assert await deleted.closed() == 4404
    samples = await until(server.http, "collab_closes_total 4404", 1)
    assert sum(value for name, value in samples.items() if "closes" in name) == 4


async def test_the_upkeep_of_documents_is_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collab.storage.upkeep.MAX_LOOSE", 3)
    monkeypatch.setattr("collab.storage.upkeep.SNAPSHOT_WEIGHT", 1)
    ada = await api.user()
    it = (await ada.document())["id"]
    for revision in range(3):
        await ada.put(it, "x" * (revision + 1), revision)
    samples = await until(api.http, "collab_upkeep_total merge", 1)
    assert samples["collab_upkeep_total snapshot"] > 0
    assert samples["collab_upkeep_total failure"] == 0


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, metrics=False) as server:
        answer = await server.http.get("/metrics", headers={"Accept": "application/json"})
        assert "collab_sessions" not in answer.text
        assert answer.status_code == 404


def test_a_value_falls_into_the_first_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram(1, 2, 5)
    for value in (0, 1, 1.5, 2, 5, 5.1, 100):
        histogram.observe(value)
    assert histogram.numbers == [2, 2, 1, 2]
    assert histogram.sum == 114.6
