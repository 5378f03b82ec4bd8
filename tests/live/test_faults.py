"""A disk or a database that fails under a real server process.

Typed answers, nothing that was shown is lost, and no restart is needed when the fault clears.
"""

from __future__ import annotations

import resource
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from bench.server import ServerProcess, running
from tests.peer import PATIENCE_S, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

TEXT = "kept " * 60_000
"""Long enough that the limit on files stands inside the write-ahead log."""


@contextmanager
def locked(_server: ServerProcess, database: Path) -> Iterator[None]:
    """Another program holds the database."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("begin immediate")
    yield
    other.execute("rollback")
    other.close()


@contextmanager
def gone(_server: ServerProcess, database: Path) -> Iterator[None]:
    """The database file is moved away."""
    aside = database.with_name("aside.db")
    database.rename(aside)
    yield
    assert not database.exists()
    aside.rename(database)


@contextmanager
def failing_disk(server: ServerProcess, _database: Path) -> Iterator[None]:
    """Files cannot grow beyond 128 kB: the kernel fails each write to the write-ahead log."""
    without = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (128 * 1024, without[1]))
    yield
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, without)


@pytest.mark.parametrize("fault", [locked, gone, failing_disk])
async def test_promise_6_a_fault_of_the_database_is_answered_and_passes(
    tmp_path: Path, fault: Callable[[ServerProcess, Path], AbstractContextManager[None]]
) -> None:
    async with (
        running(tmp_path, COLLAB_COMMIT_PATIENCE_S="0.3") as server,
        httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as http,
    ):
        process = server.pid
        token = (await http.post("/v1/auth/guest", json={"name": "Ada"})).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        ids = [await make(http, TEXT), await make(http, "quiet")]
        typist, reader = [await Peer.join(server.port, ids[0], token) for _ in range(2)]
        bystander = await Peer.join(server.port, ids[1], token)

        with fault(server, tmp_path / "data" / "collab.db"):
            await typist.push([len(TEXT), [0, "never shown"]])
            assert [await typist.closed(), await reader.closed()] == [1012, 1012]
            refused = await http.post("/v1/documents", json={"title": "Notes"})
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            if fault is gone:
                unready = await http.get("/readyz")
                assert (unready.status_code, unready.json()["code"]) == (503, "unavailable")

        back = await Peer.join(
            server.port,
            ids[0],
            token,
            client=typist.client_id,
            revision=typist.revision,
            mark=typist.mark,
            inflight=1,
        )
        assert (back.welcome["inflight"], "reset" in back.welcome) == ("void", False)
        await back.push([len(TEXT), [0, "shown"]], seq=2)
        await back.hear("updates")
        text = await http.get(f"/v1/documents/{ids[0]}/text")
        assert text.text == TEXT + "shown"
        await bystander.push([5, [0, "!"]])
        await bystander.hear("updates")
        assert (await http.get("/readyz")).status_code == 200
        assert await make(http, "new")
        assert server.pid == process
        await Peer.close_all()


async def make(http: httpx2.AsyncClient, text: str) -> str:
    answer = await http.post("/v1/documents", json={"title": "Notes", "text": text})
    document_id: str = answer.raise_for_status().json()["id"]
    return document_id
