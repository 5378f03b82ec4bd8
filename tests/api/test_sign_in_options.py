"""What a sign-in page may offer, asked without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.api.client import Api


@pytest.mark.parametrize("guests", [True, False])
@pytest.mark.parametrize("registration", [True, False])
async def test_only_what_works_is_offered(
    serve: Callable[..., AbstractAsyncContextManager[Api]], guests: bool, registration: bool
) -> None:
    async with serve(guests=guests, registration=registration) as api:
        answer = await api.http.get("/v1/auth")
        assert answer.status_code == 200
        assert answer.json() == {"guests": guests, "registration": registration}
        guest = await api.http.post("/v1/auth/guest", json={"name": "Ada"})
        assert guest.status_code == (200 if guests else 403)
        account = {"username": "ada", "password": "correct horse"}
        made = await api.http.post("/v1/auth/register", json=account)
        assert made.status_code == (200 if registration else 403)
