"""How much one may have, send, and take one's time with, over REST."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.api.client import Api, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]


async def test_a_user_owns_as_many_documents_as_they_may(serve: Serve) -> None:
    async with serve(max_user_documents=2) as api:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        documents = [await ada.document() for _ in range(2)]
        refused = await ada.post("/v1/documents", {"title": "One more"})
        detail = "a user owns at most 2 documents"
        assert_problem(refused, 409, "documents_full", "No more documents", detail)
        await bob.document()
        await ada.call("DELETE", f"/v1/documents/{documents[0]['id']}")
        await ada.document()
