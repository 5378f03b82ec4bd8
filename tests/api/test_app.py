"""Building, starting and stopping the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.api.app import create_app
from collab.errors import Misconfigured
from collab.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.api.client import Api

    Serve = Callable[..., AbstractAsyncContextManager[Api]]


def test_building_opens_nothing(tmp_path: Path) -> None:
    create_app(Settings(data_dir=tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


async def test_a_second_server_on_the_same_file_does_not_start(serve: Serve) -> None:
    async with serve() as api:
        with pytest.raises(Misconfigured, match="another server uses"):
            async with serve():
                pass
        assert (await api.http.get("/readyz")).status_code == 200
    async with serve():
        pass


async def test_a_start_that_fails_leaves_the_file_to_others(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "collab.db").write_text("no database, and longer than its header would be" * 10)
    with pytest.raises(Exception, match="file is not a database"):
        async with serve():
            pass
    (tmp_path / "collab.db").unlink()
    async with serve():
        pass


async def test_without_a_secret_of_its_own_one_is_made_and_kept(serve: Serve) -> None:
    async with serve(secret=None) as api:
        ada = await api.user()
    async with serve(secret=None) as api:
        headers = {"Authorization": f"Bearer {ada.token}"}
        assert (await api.http.get("/v1/me", headers=headers)).status_code == 200
