"""Two servers, one order: whichever an editor is connected to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.servers.site import insertion, verdict

if TYPE_CHECKING:
    from tests.peer import Peer
    from tests.servers.site import Site

PUSHES = 20


async def test_p3_an_update_reaches_the_editors_of_every_server_with_the_same_mark(
    either: Site,
) -> None:
    document_id = await either.one.document("hello")
    ada, bob = await either.one.join(document_id), await either.other.join(document_id, "Bob")
    assert ada.welcome["mark"] == bob.welcome["mark"]
    await ada.push([5, [0, "!"]])
    assert await ada.hear("updates") == await bob.hear("updates")
    await bob.push([6, [0, "?"]])
    assert await ada.hear("updates") == await bob.hear("updates")
    assert ada.mark == bob.mark
    assert await either.one.text(document_id) == await either.other.text(document_id) == "hello!?"


async def test_u2_what_is_typed_on_all_servers_at_once_comes_to_all_in_one_order(
    either: Site,
) -> None:
    document_id = await either.one.document()
    peers = [
        await server.join(document_id, name)
        for server in (either.one, either.other)
        for name in ("Ada", "Bob")
    ]
    heard: dict[str, list[Any]] = {peer.name: [] for peer in peers}

    async def type_on(peer: Peer) -> None:
        for _ in range(PUSHES):
            await peer.push([[0, "x"]], revision=0)
            mine = len(heard[peer.name])
            while not any(update[0] == peer.name for update in heard[peer.name][mine:]):
                heard[peer.name] += (await peer.hear("updates"))["updates"]

    async with asyncio.TaskGroup() as typing:
        for peer in peers:
            typing.create_task(type_on(peer))
    end = PUSHES * len(peers)
    for peer in peers:
        while len(heard[peer.name]) < end:
            heard[peer.name] += (await peer.hear("updates"))["updates"]
    assert [heard[peer.name] for peer in peers] == [heard[peers[0].name]] * len(peers)
    assert {peer.mark for peer in peers} == {peers[0].mark}
    assert await either.one.text(document_id) == await either.other.text(document_id) == "x" * end


async def test_s1_saved_is_told_on_every_server_and_is_true(either: Site) -> None:
    document_id = await either.one.document()
    ada, bob = await either.one.join(document_id), await either.other.join(document_id, "Bob")
    for length, peer in enumerate([ada, bob, ada]):
        await peer.push(insertion("x", length))
        await asyncio.gather(ada.heard(length + 1), bob.heard(length + 1))
        for told in (ada, bob):
            await told.saved(length + 1)
            assert await either.saved_revision(document_id) == length + 1


async def test_h4_a_fresh_start_elsewhere_shows_what_is_not_saved_yet(site: Site) -> None:
    document_id = await site.one.document("kept")
    ada = await site.one.join(document_id)
    with site.unsaved():
        await ada.push([4, [0, ", not saved"]])
        await ada.heard(2)
        bob = await site.other.join(document_id, "Bob")
        assert bob.welcome["text"] == "kept, not saved"
        assert (bob.welcome["head"], bob.welcome["saved"]) == (2, 1)
        assert bob.mark == ada.mark
    await bob.saved(2)


async def test_h8_a_client_that_comes_over_is_told_what_followed(site: Site) -> None:
    """H5: the other server has never had the document open, and the end of it is not saved."""
    document_id = await site.one.document("kept")
    ada, bob = await site.one.join(document_id), await site.one.join(document_id, "Bob")
    with site.unsaved():
        await ada.push([4, [0, "!"]])
        await asyncio.gather(ada.heard(2), bob.heard(2))
        ada.cut()
        await bob.push([5, [0, "?"]])
        await bob.heard(3)
        back = await site.other.join(
            document_id, client=ada.client_id, revision=ada.revision, mark=ada.mark
        )
        assert (back.welcome["revision"], back.welcome["head"]) == (2, 3)
        assert "text" not in back.welcome
        assert await back.heard(3) == [(bob.name, 1, [5, [0, "?"]])]
        assert back.mark == bob.mark


async def test_h7_a_push_that_one_server_ordered_is_told_by_the_other(site: Site) -> None:
    document_id = await site.one.document("hello")
    ada, bob = await site.one.join(document_id), await site.one.join(document_id, "Bob")
    seq = await ada.push([5, [0, "!"]])
    await bob.heard(2)
    ada.cut()
    back = await site.other.join(
        document_id, client=ada.client_id, revision=1, mark=ada.welcome["mark"], inflight=seq
    )
    assert back.welcome["inflight"] == "ordered"
    assert await back.heard(2) == [(ada.name, seq, [5, [0, "!"]])]


async def test_h7_a_push_that_never_came_is_void_and_the_next_one_goes(site: Site) -> None:
    document_id = await site.one.document("hello")
    ada, bob = await site.one.join(document_id), await site.one.join(document_id, "Bob")
    ada.cut()
    back = await site.other.join(
        document_id, client=ada.client_id, revision=1, mark=ada.mark, inflight=1
    )
    assert back.welcome["inflight"] == "void"
    await back.heard(back.welcome["head"])
    await back.push([5, [0, "!"]], seq=2)
    assert await verdict(back, 2) is None
    await bob.heard(back.revision)
    assert bob.mark == back.mark
    assert await site.one.text(document_id) == await site.other.text(document_id) == "hello!"


async def test_x2_a_deletion_on_one_server_ends_the_sessions_of_all(either: Site) -> None:
    document_id = await either.one.document("gone")
    ada, bob = await either.one.join(document_id), await either.other.join(document_id, "Bob")
    await bob.push([4, [0, "!"]])
    await ada.heard(2)
    answer = await either.one.http.delete(
        f"/v1/documents/{document_id}", headers=await either.one.authorization()
    )
    assert answer.status_code == 204
    assert [await ada.closed(), await bob.closed()] == [4404, 4404]
    for server in (either.one, either.other):
        assert (await server.refusal(document_id))[0] == 404
