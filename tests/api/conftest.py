"""The real application over a real database, called in process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from collab.api.app import create_app
from collab.settings import Settings
from tests.api.client import Api, Clock
from tests.migrated import begin_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

CHEAP = {"password_memory_kib": 32, "password_passes": 1}
SECRET = "the secret of these tests, and of no others"


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Api]]:
    """Start the application with some settings: `async with serve(guests=False) as api`."""

    @asynccontextmanager
    async def serving(**given: Any) -> AsyncIterator[Api]:
        settings = Settings(**{"data_dir": tmp_path, "secret": SECRET, **CHEAP, **given})
        begin_in(settings.data_dir)
        clock = Clock()
        app = create_app(settings, clock)
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://test") as http,
        ):
            yield Api(http, app, clock)

    return serving


@pytest.fixture
async def api(serve: Callable[..., AbstractAsyncContextManager[Api]]) -> AsyncIterator[Api]:
    async with serve() as running:
        yield running
