"""Which run of Redis a document's log lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.errors import NotFound
from collab.storage.runs import Row, Runs

if TYPE_CHECKING:
    from tests.storage.saving import Bench


async def test_a_new_document_names_none(bench: Bench) -> None:
    document = await bench.document("d")
    assert await Runs(bench.database).look("d") == Row("", 0, document.room.mark)


async def test_a_claim_is_seen_and_tells_how_far_the_document_is_saved(bench: Bench) -> None:
    document, other = await bench.document("d"), await bench.document("e")
    await bench.save(document, "x")
    runs = Runs(bench.database)
    for former, run in (("", "one"), ("one", "two"), ("one", "two")):
        claimed = await runs.claim("d", run, former)
        assert claimed == await runs.look("d") == Row(run, 1, document.room.mark)
    assert await runs.look("e") == Row("", 0, other.room.mark)


async def test_there_is_none_of_a_document_that_is_not_there(bench: Bench) -> None:
    runs = Runs(bench.database)
    with pytest.raises(NotFound):
        await runs.look("d")
    with pytest.raises(NotFound):
        await runs.claim("d", "one", "")


async def test_who_knows_of_an_earlier_run_than_the_row_cannot_claim(bench: Bench) -> None:
    """A server that was slow must not shut out those who have gone on."""
    document = await bench.document("d")
    runs = Runs(bench.database)
    await runs.claim("d", "three", "")
    assert await runs.claim("d", "two", "one") is None
    assert await runs.look("d") == Row("three", 0, document.room.mark)
