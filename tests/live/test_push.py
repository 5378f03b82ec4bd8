"""Pushes, and what is answered (P1 to P6), with the rules of text as the server enforces them."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from collab.log.rebase import MAX_BASE_DISTANCE
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from pathlib import Path


async def test_p1_updates_of_a_push_apply_to_one_another_and_take_a_revision_each(
    server: Serving,
) -> None:
    document_id = await server.document("ab")
    peer = await server.join(document_id)
    seq = await peer.push([2, [0, "c"]], [1, [1], 1], [[2, "x", "y"]])
    message = await peer.hear("updates")
    assert message["revision"] == 2
    assert message["updates"] == [
        [peer.name, seq, [2, [0, "c"]]],
        [peer.name, seq, [1, [1], 1]],
        [peer.name, seq, [[2, "x", "y"]]],
    ]
    assert await server.text(document_id) == "x\ny"
    await peer.leave()


async def test_p1_pushes_on_an_old_revision_are_rebased(server: Serving) -> None:
    """T8: over one update at a time, as the editors do it."""
    document_id = await server.document("abc")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await ada.push([[1], 2], [[0, "X"], 2])
    await ada.hear("updates")
    await bob.push([1, [0, "Y"], 2], revision=1)
    assert (await bob.heard(4))[-1] == (bob.name, 1, [1, [0, "Y"], 2])
    assert await server.text(document_id) == "XYbc"
    await ada.leave()
    await bob.leave()


async def test_p1_a_push_is_ordered_with_nothing_in_between(server: Serving) -> None:
    document_id = await server.document()
    peers = [await server.join(document_id) for _ in range(4)]

    async def type_on(peer: Any) -> None:
        for _ in range(10):
            await peer.push([[0, "a"]], [1, [0, "b"]], [2, [0, "c"]], revision=0)
            heard = peer.revision
            while not any(client == peer.name for client, _, _ in await peer.heard(heard + 1)):
                heard = peer.revision

    async with asyncio.TaskGroup() as typing:
        for peer in peers:
            typing.create_task(type_on(peer))
    reader = await server.join(document_id, revision=0, mark="")
    assert reader.welcome["text"].count("abc") == 40
    for peer in [*peers, reader]:
        await peer.leave()


async def test_p2_a_second_push_while_one_is_in_flight_ends_the_session(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    await peer.send('{"type":"push","revision":0,"seq":1,"updates":[[[0,"a"]]]}')
    await peer.send('{"type":"push","revision":0,"seq":2,"updates":[[[0,"b"]]]}')
    assert await peer.closed() == 4400
    back = await server.join(document_id, client=peer.client_id, inflight=1)
    assert back.welcome["inflight"] == "ordered"
    assert back.welcome["text"] == "a"
    await back.leave()


async def test_p3_a_push_comes_back_to_its_sender_like_everyone_elses(server: Serving) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    seq = await ada.push([[0, "hi"]])
    assert await ada.hear("updates") == await bob.hear("updates")
    assert ada.mark == bob.mark
    assert seq == 1
    await ada.leave()
    await bob.leave()


async def test_p4_a_copy_is_not_ordered_again(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    seq = await peer.push([[0, "once"]])
    await peer.hear("updates")
    peer.cut()
    back = await server.join(document_id, client=peer.client_id)
    await back.push([[0, "once"]], revision=0, seq=seq)
    assert await back.closed() == 4400
    assert await server.text(document_id) == "once"


REFUSED: list[tuple[str, list[Any], str]] = [
    # T3 to T5, on a text of four units: a, a pair, b
    ("not an array", [5], "invalid_change"),
    ("null", [None], "invalid_change"),
    ("an object", [{}], "invalid_change"),
    ("no update at all", [], "invalid_change"),
    ("too short", [[3]], "invalid_change"),
    ("too long", [[5]], "invalid_change"),
    ("negative", [[-4, 8]], "invalid_change"),
    ("fractional", [[1.5, 2.5]], "invalid_change"),
    ("a float", [[4.0]], "invalid_change"),
    ("a string", [["4"]], "invalid_change"),
    ("true", [[True, 3]], "invalid_change"),
    ("null inside", [[4, None]], "invalid_change"),
    ("an empty section", [[4, []]], "invalid_change"),
    ("a section that begins with a line", [[4, ["x"]]], "invalid_change"),
    ("a line that is no string", [[4, [0, 7]]], "invalid_change"),
    ("a nested section", [[4, [0, ["x"]]]], "invalid_change"),
    ("a line with a line feed", [[4, [0, "x\ny"]]], "invalid_change"),
    ("a line with a carriage return", [[4, [0, "x\ry"]]], "invalid_change"),
    ("a line with NUL", [[4, [0, "x\0y"]]], "invalid_change"),
    ("an insertion inside a pair", [[2, [0, "x"], 2]], "invalid_change"),
    ("a deletion of half a pair", [[1, [1], 2]], "invalid_change"),
    ("a deletion that ends inside a pair", [[[2], 2]], "invalid_change"),
    ("a huge number", [[10**30]], "invalid_change"),
    ("the second update is wrong", [[[0, "x"], 4], [4]], "invalid_change"),
    ("too many updates", [[4]] * 6, "too_large"),
    ("too many sections", [[[0, "x"]] * 30], "too_large"),
    ("the document is full", [[4, [0, "x" * 1_000]]], "document_full"),
]


@pytest.mark.parametrize(("what", "updates", "code"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_p5_a_bad_push_is_refused_and_the_session_goes_on(
    tmp_path: Path, what: str, updates: list[Any], code: str
) -> None:
    async with serving(
        tmp_path, max_updates_per_push=5, max_sections_per_push=20, max_document_units=1_000
    ) as server:
        document_id = await server.document("a😀b")
        peer = await server.join(document_id)
        seq = await peer.push(*updates)
        answer = await peer.hear("refused")
        assert (answer["seq"], answer["code"]) == (seq, code), what
        assert answer["message"]
        # Nothing happened, and the next push goes through on the same revision.
        await peer.push([4, [0, "!"]])
        assert (await peer.hear("updates"))["revision"] == 2
        assert await server.text(document_id) == "a😀b!"
        await peer.leave()


async def test_p5_a_revision_that_does_not_exist_is_invalid(server: Serving) -> None:
    peer = await server.join(await server.document())
    await peer.push([[0, "x"]], revision=1)
    assert (await peer.hear("refused"))["code"] == "invalid_change"
    await peer.leave()


async def test_p5_a_base_too_far_back_is_stale(server: Serving) -> None:
    """10,000 revisions back is fine, one more is not."""
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    for _ in range(10):
        await ada.push(*([[0]] * 1_000))
        await ada.hear("updates")
    await bob.push([[0, "x"]], revision=0)
    await bob.heard(MAX_BASE_DISTANCE + 1)
    assert await server.text(document_id) == "x"
    await bob.push([[0, "y"]], revision=0)
    assert (await bob.hear("refused"))["code"] == "stale"
    await ada.leave()
    await bob.leave()


async def test_p5_a_rebase_that_costs_too_much_is_stale(server: Serving) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    for _ in range(6):
        await ada.push(*([[0]] * 1_000))
        await ada.hear("updates")
    await bob.push(*([[0]] * 1_000), revision=0)
    assert (await bob.hear("refused"))["code"] == "stale"
    await bob.heard(6_000)
    await bob.push(*([[0]] * 1_000))
    await bob.heard(7_000)
    await ada.leave()
    await bob.leave()


async def test_p5_pushing_too_fast_is_refused_with_a_time_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, pushes_per_second=2) as server:
        peer = await server.join(await server.document())
        for _ in range(2):
            await peer.push([0], revision=0)
            await peer.hear("updates")
        await peer.push([0], revision=0)
        answer = await peer.hear("refused", "updates")
        assert answer["code"] == "rate_limited"
        assert 0 < answer["retry_after_ms"] <= 1_000
        await peer.leave()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        '{"type":"unknown"}',
        '{"type":"' + "my secret text " * 20 + '"}',
        '{"type":null}',
        '{"revision":0,"seq":1,"updates":[]}',
        '{"type":"push","seq":1,"updates":[[0]]}',
        '{"type":"push","revision":0,"updates":[[0]]}',
        '{"type":"push","revision":0,"seq":1}',
        '{"type":"push","revision":"0","seq":1,"updates":[[0]]}',
        '{"type":"push","revision":0.0,"seq":1,"updates":[[0]]}',
        '{"type":"push","revision":-1,"seq":1,"updates":[[0]]}',
        '{"type":"push","revision":true,"seq":1,"updates":[[0]]}',
        '{"type":"push","revision":0,"seq":"1","updates":[[0]]}',
        '{"type":"push","revision":0,"seq":-1,"updates":[[0]]}',
        '{"type":"push","revision":0,"seq":1e300,"updates":[[0]]}',
        '{"type":"push","revision":0,"seq":1,"updates":{}}',
        '{"type":"push","revision":0,"seq":1,"updates":null}',
        '{"type":"push","revision":0,"seq":1,"updates":[[0]]} and more',
        '{"type":"push","revision":0,"seq":1,"updates":[[0,"\\ud800"]]}',
        '{"type":"push","revision":0,"seq":1,"updates":[' + "[" * 20_000 + "]" * 20_000 + "]}",
        '{"type":"presence","revision":0}',
        '{"type":"presence","revision":0,"ranges":[[1]]}',
        '{"type":"token"}',
        '{"type":"beat"',
    ],
)
async def test_p6_what_is_no_message_ends_this_session_alone(server: Serving, message: str) -> None:
    document_id = await server.document()
    good, bad = await server.join(document_id), await server.join(document_id, "Bob")
    await bad.send(message)
    assert await bad.closed() == 4400
    assert bad.connection.close_reason
    await good.push([[0, "fine"]])
    await good.hear("updates")
    await good.leave()


async def test_p6_a_binary_message_ends_the_session(server: Serving) -> None:
    peer = await server.join(await server.document())
    await peer.connection.send(b'{"type":"beat"}')
    assert await peer.closed() == 4400


@pytest.mark.parametrize("seq", [3, 2])
async def test_p6_a_seq_that_is_not_larger_ends_the_session(server: Serving, seq: int) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    await peer.push([[0, "a"]], seq=3)
    await peer.hear("updates")
    await peer.push([1, [0, "b"]], seq=seq)
    assert await peer.closed() == 4400
    assert await server.text(document_id) == "a"


async def test_p6_unknown_fields_are_ignored(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id, unheard="of")
    await peer.send(
        '{"type":"push","revision":0,"seq":1,"updates":[[[0,"a"]]],"later":{"version":[2]}}'
    )
    await peer.hear("updates")
    await peer.send({"type": "beat", "unheard": "of"})
    await peer.push([1, [0, "b"]], seq=2)
    await peer.hear("updates")
    assert await server.text(document_id) == "ab"
    await peer.leave()


async def test_t2_lines_are_joined_with_a_line_feed(server: Serving) -> None:
    document_id = await server.document("one\r\ntwo\rthree\n")
    peer = await server.join(document_id)
    assert peer.welcome["text"] == "one\ntwo\nthree\n"
    await peer.push([14, [0, "four", "", "six"]])
    await peer.hear("updates")
    assert await server.text(document_id) == "one\ntwo\nthree\nfour\n\nsix"
    await peer.leave()


@pytest.mark.parametrize(
    "sections",
    [
        [[1], [0, "z"], 3],
        [[1, "z"], 3],
        [1, 1, 2],
        [4],
        [1, [0], 3],
        [[4, "😀", ""]],
    ],
)
async def test_t3_sections_are_kept_as_they_came(server: Serving, sections: list[Any]) -> None:
    """T6: an empty change among them takes its revision."""
    peer = await server.join(await server.document("abcd"))
    await peer.push(sections)
    message = await peer.hear("updates")
    assert (message["revision"], message["updates"][0][2]) == (2, sections)
    await peer.leave()


async def test_t5_a_cut_is_judged_on_the_text_that_the_rebased_change_applies_to(
    server: Serving,
) -> None:
    """Half of a pair is deleted, but somebody else has deleted the whole pair before."""
    document_id = await server.document("a😀b")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await ada.push([1, [2], 1])
    await ada.hear("updates")
    await bob.push([1, [1], 2], revision=1)
    assert (await bob.hear("updates", "refused"))["type"] == "updates"
    await bob.heard(3)
    assert await server.text(document_id) == "ab"
    await ada.leave()
    await bob.leave()


async def test_p5_one_who_may_only_read_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        document_id = await server.document("read me")
        await (await server.join(document_id, "Bob")).leave()
        with sqlite3.connect(tmp_path / "collab.db") as database:
            database.execute("update members set role = 'viewer' where role = 'visitor'")
        bob, ada = await server.join(document_id, "Bob"), await server.join(document_id)
        assert bob.welcome["role"] == "viewer"
        await bob.push([7, [0, "!"]])
        assert (await bob.hear("refused"))["code"] == "forbidden"
        await ada.push([7, [0, "?"]])
        await bob.heard(2)
        assert await server.text(document_id) == "read me?"
        await ada.leave()
        await bob.leave()
