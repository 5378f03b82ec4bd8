"""What is shown is saved, whatever happens to the server or its database."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from tests.serving import PATIENCE_S, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def database(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(data_dir / "collab.db", isolation_level=None)


async def test_an_update_is_shown_only_when_it_is_committed(tmp_path: Path) -> None:
    """P3, promise 2: another program holds the database. Nothing is shown, and beats go on."""
    async with serving(tmp_path, heartbeat_s=1.5) as server:
        document_id = await server.document()
        typist, reader = await server.join(document_id), await server.join(document_id, "Bob")
        other = database(tmp_path)
        other.execute("begin immediate")
        await typist.push([[0, "held"]])
        for _ in range(3):
            for peer in (typist, reader):
                message = await peer.hear("beat", "updates", "saved")
                assert (message["type"], message["revision"]) == ("beat", 0)
                await peer.send({"type": "beat"})
        assert await server.text(document_id) == ""
        other.execute("rollback")
        other.close()
        assert (await reader.hear("updates"))["updates"] == [[typist.name, 1, [[0, "held"]]]]
        await typist.hear("updates")
        await typist.leave()
        await reader.leave()


async def test_s1_a_disk_that_stalls_delays_what_is_saved_and_not_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was shown is there for whoever reads the database, as the next process would."""
    going_on = threading.Event()
    async with serving(tmp_path, heartbeat_s=1.5) as server:
        document_id = await server.document()
        typist, reader = await server.join(document_id), await server.join(document_id, "Bob")
        monkeypatch.setattr("collab.storage.wal.sync", lambda _: going_on.wait(PATIENCE_S))
        for revision in (1, 2):
            await typist.push([[0, "x"], *([revision - 1] if revision > 1 else [])])
            await reader.hear("updates")
            with database(tmp_path) as other:
                rows = other.execute("select saved_revision from documents").fetchall()
            assert rows == [(revision,)]
            await typist.hear("updates")
        message = await reader.hear("beat", "saved")
        assert (message["type"], message["saved"]) == ("beat", 0)
        going_on.set()
        for revision in (1, 2):
            assert (await reader.hear("saved"))["revision"] == revision
        await typist.leave()
        await reader.leave()


async def test_a_commit_that_fails_for_good_ends_the_sessions_and_opens_fresh(
    tmp_path: Path,
) -> None:
    """What was never shown is settled as void, what was shown is still there, and other documents
    go on.
    """
    async with serving(tmp_path, commit_patience_s=0.1) as server:
        document_id = await server.document("kept")
        typist, reader = await server.join(document_id), await server.join(document_id, "Bob")
        with database(tmp_path) as other:
            other.execute("alter table segments rename to hidden")
        await typist.push([4, [0, " and more"]])
        assert await typist.closed() == 1012
        assert await reader.closed() == 1012
        with database(tmp_path) as other:
            other.execute("alter table hidden rename to segments")
        back = await server.join(
            document_id,
            client=typist.client_id,
            revision=typist.revision,
            mark=typist.mark,
            inflight=1,
        )
        assert back.welcome["inflight"] == "void"
        assert "reset" not in back.welcome
        await back.push([4, [0, " again"]], seq=2)
        await back.hear("updates")
        assert await server.text(document_id) == "kept again"
        await back.leave()


async def test_the_handshake_answers_503_while_the_database_is_gone(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        document_id = await server.document("kept")
        with database(tmp_path) as other:
            other.execute("alter table segments rename to hidden")
        status, problem = await server.refusal(document_id)
        assert (status, problem["code"]) == (503, "unavailable")
        with database(tmp_path) as other:
            other.execute("alter table hidden rename to segments")
        peer = await server.join(document_id)
        assert peer.welcome["text"] == "kept"
        await peer.leave()


async def test_rooms_close_when_idle_and_open_again_as_they_were(tmp_path: Path) -> None:
    async with serving(tmp_path, room_idle_s=0, heartbeat_s=0.4) as server:
        document_id = await server.document()
        mark = ""
        for length in range(3):
            peer = await server.join(document_id)
            await peer.push([length, [0, "x"]] if length else [[0, "x"]])
            await peer.hear("updates")
            mark = peer.mark
            await peer.leave()
            await server.closed(document_id)
        peer = await server.join(document_id, revision=3, mark=mark)
        assert "reset" not in peer.welcome
        assert await server.text(document_id) == "xxx"
        await peer.leave()
