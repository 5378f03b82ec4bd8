"""Attacks by what is sent: bombs that unpack to much, and names that look like another's."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

from bench.attacks.scene import Attack, Scene, counted, in_one
from bench.fuzz import units
from tests.live.raw import TEXT, Raw, frame, upgrade

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BOMB_BYTES = 20_000_000
TOO_MANY_BYTES = 1_048_577


async def compressed_frames(scene: Scene) -> str:
    """Compression is offered and not taken; a frame that is compressed all the same is no frame."""
    path = f"{scene.document}/live?token={await scene.member()}&client={'d' * 16}"
    raw = await scene.connect()  # last: it is not waited for long
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    raw.send(upgrade(path, scene.port, offered))
    status, headers = await raw.answer_head()
    taken = headers.get("sec-websocket-extensions", "no extension")
    squeeze = zlib.compressobj(9, wbits=-15)
    bomb = squeeze.compress(b'{"type":"beat","x":"' + b"x" * BOMB_BYTES + b'"}')
    bomb += squeeze.flush(zlib.Z_SYNC_FLUSH)[:-4]
    raw.send(frame(TEXT, bomb, reserved=4))
    code, _ = await raw.closed()
    return f"{status} with {taken}, close {code}"


async def gzip_bodies(scene: Scene) -> str:
    """Never unpacked: what arrives is no JSON, and no text."""
    token = await scene.stranger()
    own = (await scene.ask("POST", "/v1/documents", token, {"title": "Own"})).body["id"]
    headers = {"Content-Encoding": "gzip"}
    form = gzip.compress(b'{"title":"' + b"x" * BOMB_BYTES + b'"}')
    text = gzip.compress(b"x" * BOMB_BYTES)
    plain = {**headers, "Content-Type": "text/plain; charset=utf-8", "If-Match": '"0"'}
    answers = [
        await scene.ask("POST", "/v1/documents", token, form, headers),
        await scene.ask("PUT", f"/v1/documents/{own}/text", token, text, plain),
    ]
    return in_one(answers)


async def pastes(scene: Scene) -> str:
    """Too long a message; little JSON that is a long text, many lines, or deep."""

    def push(updates: str) -> str:
        return '{"type":"push","revision":%d,"seq":1,"updates":' + updates + "}"

    answers = []
    sent: str | bytes
    for sent in (
        frame(TEXT, b"x" * TOO_MANY_BYTES),
        frame(TEXT, b"x" * TOO_MANY_BYTES, final=False),
        push("[" * 500_000),
        push("[" * 100 + "]" * 100),
        push('[[%d,[0,"' + "\\u0000" * 100_000 + '"]]]'),
        push("[[%d,[0" + ',""' * 300_000 + "]]]"),
        push("[[" + "[0]," * 200_000 + "[0]]]"),
        push("[" + "[]," * 300_000 + "[]]"),
        push(f"[[{'9' * 400_000}]]"),
    ):
        session = await scene.join(await scene.member())
        welcome = await session.hear("welcome")
        if isinstance(sent, bytes):
            session.send(sent)
        else:
            place = welcome["revision"], units(welcome["text"])
            session.send(frame(TEXT, (sent % place[: sent.count("%d")]).encode()))
        answers.append(await _refused(session))
        await session.cut()
    return in_one(answers)


async def _refused(session: Raw) -> str:
    while True:
        opcode, payload = await session.next()
        if opcode != TEXT:
            return f"close {int.from_bytes(payload[:2], 'big')}"
        message = json.loads(payload)
        if message["type"] == "refused":
            return str(message["code"])


async def replacements_that_grow(scene: Scene) -> str:
    """Each letter becomes a long text: a document of their own, over and over."""
    token = await scene.stranger()
    text = {"title": "Bomb", "text": "x" * 100_000}
    made = await scene.ask("POST", "/v1/documents", token, text)
    grow = {"find": "x", "replace": "x" * 60_000}
    path = f"/v1/documents/{made.body['id']}/text"
    return in_one([await scene.ask("PATCH", path, token, grow) for _ in range(5)])


# -- Names -----------------------------------------------------------------------------------------

AS_SHOWN: dict[str, str] = {
    "Ada\u202e\u2066": "Ada",
    "\u200bA\u2060d\ufeffa\u00ad": "Ada",
    "  Ada\t ": "Ada",
    "Ada\U000e0041": "Ada",
    "مدير\u200f": "مدير",
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "'; DROP TABLE users; --": "'; DROP TABLE users; --",
}
"""What is taken, and what becomes of it: a name is text, wherever it is shown."""

NOT_TAKEN = (
    "",
    " ",
    "\u200b",
    "\u3164",
    "\u0301",
    "a\nb",
    "a\0b",
    "a\x1b[31mb",
    "a\r\nSet-Cookie: b=c",
    "a\u2028b",
    "\ud800",
    "Z" + "\u0335\u0301\u0316" * 20,
    "x" * 201,
    "😀" * 101,
)


async def names(scene: Scene) -> str:
    """Users and titles."""
    token = await scene.stranger()

    async def user(name: str) -> tuple[int, str]:
        made = await scene.ask("POST", "/v1/auth/guest", body={"name": name})
        return made.status, made.body["user"]["name"] if made.status == 200 else ""

    async def title(name: str) -> tuple[int, str]:
        made = await scene.ask("POST", "/v1/documents", token, {"title": name})
        return made.status, made.body.get("title", "")

    return f"users {await _named(user)}; titles {await _named(title)}"


async def _named(make: Callable[[str], Awaitable[tuple[int, str]]]) -> str:
    """What is answered to each, and whether what is taken is shown as it should be."""
    taken, wrong = [], []
    for written, shown in AS_SHOWN.items():
        status, name = await make(written)
        taken.append(status)
        if name != shown:
            wrong.append(name)
    refused = [(await make(written))[0] for written in NOT_TAKEN]
    return ", ".join([counted([*taken, *refused]), *(f"WRONG {name!a}" for name in wrong)])


async def usernames_that_look_alike(scene: Scene) -> str:
    """Only ASCII is taken, and in whatever case it is the same."""
    given = (
        "\u0430da",
        "a\u200bda",
        "ad\u00e4",
        "\uff21\uff24\uff21",
        "ada ",
        "a/da",
        "@\u0131da",
        "ad\u212a",
    )
    answers = []
    for username in given:
        account = {"username": username, "password": "a good password"}
        answers.append(await scene.ask("POST", "/v1/auth/register", body=account))
    taken = {"username": f"A{scene.address}".upper(), "password": "a good password"}
    for username in (taken["username"], taken["username"].lower()):
        account = {**taken, "username": username}
        answers.append(await scene.ask("POST", "/v1/auth/register", body=account))
    return counted(answers)


ATTACKS = [
    Attack(
        "deflate bombs in frames",
        (
            "101 with permessage-deflate; server_no_context_takeover; client_no_context_takeover,"
            " close 1009"
        ),
        compressed_frames,
    ),
    Attack("gzip bombs in bodies", "400 bad_request, 422 invalid", gzip_bodies),
    Attack(
        "pastes that unpack",
        "close 1009, close 4400, invalid_change, document_full, too_large",
        pastes,
    ),
    Attack("replacements that grow", "413 too_large", replacements_that_grow),
    Attack(
        "Unicode tricks in names",
        "users 7 x 200, 14 x 422; titles 7 x 201, 14 x 422",
        names,
    ),
    Attack(
        "usernames that look alike",
        "1 x 200, 1 x 409 username_taken, 8 x 422 invalid",
        usernames_that_look_alike,
    ),
]
