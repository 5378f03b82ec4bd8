"""People who type and programs that edit over REST, in the same document at once."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest

from collab.text import Change, Text, to_units
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

    from tests.peer import Peer

pytestmark = pytest.mark.usefixtures("peers_are_closed")


class Program:
    """Edits a document over REST."""

    def __init__(self, server: Serving, document_id: str, name: str) -> None:
        self._server = server
        self._name = name
        self._path = f"/v1/documents/{document_id}/text"

    async def read(self) -> tuple[str, str]:
        """The text and its ETag."""
        answer = await self._call("GET")
        return answer.raise_for_status().text, answer.headers["etag"]

    async def put(self, text: str, base: str) -> httpx2.Response:
        kind = {"Content-Type": "text/plain; charset=utf-8"}
        return await self._call("PUT", {"If-Match": base, **kind}, content=text.encode())

    async def patch(self, body: Any, base: str | None = None) -> httpx2.Response:
        return await self._call("PATCH", {} if base is None else {"If-Match": base}, json=body)

    async def _call(
        self, method: str, headers: dict[str, str] | None = None, **rest: Any
    ) -> httpx2.Response:
        sent = {**(await self._server.authorization(self._name)), **(headers or {})}
        return await self._server.http.request(method, self._path, headers=sent, **rest)


def replay(text: Text, updates: list[Any]) -> Text:
    """The text after updates as they are on the wire."""
    for _, _, changes in updates:
        text = Change.from_json(changes).apply(text)
    return text


async def test_an_edit_appears_in_open_editors_with_its_author(server: Serving) -> None:
    """U3: it is nobody's own."""
    it = await server.document("Hello, world")
    ada, bob = await server.join(it), await server.join(it, "Bob")
    program = Program(server, it, "Robot")
    await program.put("Hello, moon", '"1"')
    await program.patch({"edits": [{"from": 0, "to": 5, "insert": "Bye"}]}, '"2"')
    for peer in (ada, bob):
        updates = await peer.heard(3)
        assert str(replay(Text.of("Hello, world"), updates)) == "Bye, moon"
        assert {client for client, _, _ in updates}.isdisjoint({ada.name, bob.name})
    answer = await server.http.get(
        f"/v1/documents/{it}/updates?after=1", headers=await server.authorization()
    )
    assert [item["author"]["name"] for item in answer.json()["items"]] == ["Robot", "Robot"]


async def test_what_was_typed_meanwhile_stays(server: Serving) -> None:
    """T8: an edit from an older text goes over what was typed since."""
    it = await server.document("one\ntwo\nthree\n")
    peer = await server.join(it)
    await peer.push([4, [0, "typed "], 10])
    await peer.heard(2)
    answer = await Program(server, it, "Robot").put("one\n2\nthree\n", '"1"')
    assert answer.json() == {"revision": 3, "saved_revision": 3, "length": 18}
    assert await server.text(it) == "one\ntyped 2\nthree\n"
    assert (await peer.heard(3))[0][2] == [10, [3, "2"], 7]


async def test_what_is_typed_on_an_older_text_goes_over_an_edit(server: Serving) -> None:
    it = await server.document("one\ntwo\nthree\n")
    peer = await server.join(it)
    await Program(server, it, "Robot").put("one\n2\nthree\n", '"1"')
    await peer.push([14, [0, "typed"]], revision=1)
    await peer.heard(3)
    assert await server.text(it) == "one\n2\nthree\ntyped"


async def test_what_is_typed_within_what_an_edit_replaces_stays(server: Serving) -> None:
    it = await server.document("old")
    peer = await server.join(it)
    await peer.push([1, [0, "NEW"], 2])
    await peer.heard(2)
    await Program(server, it, "Robot").put("other", '"1"')
    assert sorted(await server.text(it)) == sorted("NEWother")


EDITS = 25
BEGINNING = "😀 begin\n" * 8


class Words:
    """Gives out characters that stand nowhere else, and edits that put them into a text."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.used: list[str] = []
        self._next = map(chr, itertools.count(0x4E00))

    def word(self) -> str:
        self.used.append(next(self._next))
        return self.used[-1]

    def splice(self, text: str) -> tuple[int, int, str]:
        """Where to put a word, and up to where it stands in place of what was there at first."""
        start = self.random.randint(0, len(text))
        takes = start < len(text) and text[start] in BEGINNING and self.random.random() < 0.5
        return start, start + takes, self.word()


async def type_words(peer: Peer, text: Text, words: Words) -> Text:
    """Push edits, one at a time, each on what was heard until then. Returns the text there."""
    for _ in range(EDITS):
        start, end, word = words.splice(str(text))
        before, replaced = str(text)[:start], str(text)[start:end]
        at, gone = len(to_units(before)), len(to_units(replaced))
        change = Change.replace(len(text), at, at + gone, word)
        seq = await peer.push(change.to_json())
        heard: list[tuple[str, int]] = []
        while (peer.name, seq) not in heard:
            updates = (await peer.hear("updates"))["updates"]
            heard = [(client, number) for client, number, _ in updates]
            text = replay(text, updates)
    return text


async def edit_words(program: Program, words: Words) -> None:
    """Edit in every way there is, from texts that were read some time ago."""
    text, base = await program.read()
    for _ in range(EDITS):
        if words.random.random() < 0.5:
            text, base = await program.read()
        start, end, word = words.splice(text)
        match words.random.randrange(4):
            case 0:
                answer = await program.put(text[:start] + word + text[end:], base)
            case 1:
                at, until = len(to_units(text[:start])), len(to_units(text[:end]))
                edits = [{"from": at, "to": until, "insert": word}]
                answer = await program.patch({"edits": edits}, base)
            case 2:
                at, until = len(to_units(text[:start])), len(to_units(text[:end]))
                change = Change.replace(len(to_units(text)), at, until, word)
                answer = await program.patch({"change": change.to_json()}, base)
            case _:
                body = {"find": "\n", "replace": f"\n{word}", "count": 1}
                answer = await program.patch(body, words.random.choice([None, base]))
                assert answer.json()["replaced"] in {0, 1}
                if not answer.json()["replaced"]:
                    words.used.remove(word)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whoever_edits_however_nothing_is_lost_and_all_see_the_same(
    tmp_path: Path, seed: int
) -> None:
    """Everybody puts in characters that nobody else does: each is there once in the end."""
    async with serving(tmp_path) as server:
        it = await server.document(BEGINNING)
        words = Words(f"seed {seed}")
        peers = [await server.join(it, name) for name in ("Ada", "Bob", "Eve")]
        programs = [Program(server, it, f"Robot {n}") for n in range(3)]
        async with asyncio.TaskGroup() as everybody:
            for program in programs:
                everybody.create_task(edit_words(program, words))
            typing = [
                everybody.create_task(type_words(peer, Text.of(peer.welcome["text"]), words))
                for peer in peers
            ]
        text, etag = await programs[0].read()
        for peer, typed in zip(peers, typing, strict=True):
            assert str(replay(typed.result(), await peer.heard(int(etag.strip('"'))))) == text
        assert {word: text.count(word) for word in words.used} == dict.fromkeys(words.used, 1)
