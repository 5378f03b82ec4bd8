"""Attacks on who may come in: other people's documents, tokens and tickets, and other pages."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.attacks.host import KID
from bench.attacks.scene import Attack, Scene, counted, in_one

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret that only those who are attacked know"
DOCUMENT_ID_CHARS = "abcdefghijklmnopqrstuvwxyz234567"

CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"title": "Mine"}),
    ("DELETE", "", None),
    ("GET", "/text", None),
    ("PATCH", "/text", {"find": "a", "replace": "b"}),
    ("GET", "/updates", None),
    ("GET", "/versions", None),
    ("POST", "/versions", {"name": "Mine"}),
    ("GET", "/diff?from=0&to=1", None),
    ("GET", "/blame", None),
    ("GET", "/members", None),
    ("PUT", "/members/@mallory", {"role": "owner"}),
    ("DELETE", "/members/@mallory", None),
    ("GET", "/access", None),
    ("PUT", "/access", {"anyone": "editor"}),
    ("GET", "/links", None),
    ("POST", "/links", {"role": "editor"}),
    ("DELETE", "/links/abc", None),
    ("GET", "/audit", None),
    ("POST", "/tickets", None),
]


def _new_id() -> str:
    return "".join(secrets.choice(DOCUMENT_ID_CHARS) for _ in range(26))


async def anothers_document(scene: Scene) -> str:
    """Every call and the handshake are answered as for a document that does not exist."""
    stranger = await scene.stranger()
    answers = []
    for document in (scene.document, f"/v1/documents/{_new_id()}"):
        asked = [await scene.ask(way, document + on, stranger, body) for way, on, body in CALLS]
        answers.append([*asked, await scene.shake_hands(stranger, document)])
    theirs, nobodys = ([(each.status, each.code, each.detail) for each in of] for of in answers)
    same = "as for none" if theirs == nobodys else "UNLIKE for none"
    return f"{in_one(answers[0])}, {same}"


async def guessed_ids(scene: Scene) -> str:
    stranger = await scene.stranger()
    answers = []
    for number in range(scene.size.ids):
        document = f"/v1/documents/{_new_id()}"
        answers.append(
            await scene.shake_hands(stranger, document)
            if number % 2
            else await scene.ask("GET", document, stranger)
        )
    return in_one(answers)


# -- Tokens ----------------------------------------------------------------------------------------


def _encoded(data: bytes | dict[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signed(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """By HMAC, whatever the key is: PyJWT would not let a public one be used so."""
    said = f"{_encoded(header)}.{_encoded(claims)}"
    return f"{said}.{_encoded(hmac.digest(key, said.encode(), sha256))}"


def _own(**changed: Any) -> dict[str, Any]:
    """The claims of a token that the server itself would issue."""
    now = int(time.time())
    claims = {"iss": "collab", "aud": "collab", "sub": "mallory", "name": "M", "guest": False}
    return {**claims, "iat": now, "exp": now + 3_600, **changed}


def _unsigned(scene: Scene) -> Iterator[str]:
    for claims in (_own(), scene.host.claims()):
        for algorithm in ("none", "None", "NONE", "", None):
            yield f"{_encoded({'alg': algorithm, 'typ': 'JWT'})}.{_encoded(claims)}."
        # The right names, and no signature.
        yield f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}."
        yield f"{_encoded({'alg': 'RS256', 'kid': KID, 'typ': 'JWT'})}.{_encoded(claims)}."


def _forged(scene: Scene) -> Iterator[str]:
    mine = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    my_jwk = jwt.algorithms.RSAAlgorithm.to_jwk(mine.public_key(), as_dict=True)
    theirs = scene.host.claims()
    yield jwt.encode(_own(), "not the secret of this server at all", "HS256")
    yield jwt.encode(_own(), SECRET * 2, "HS512")
    for header in (
        {"kid": KID},
        {"kid": "key-2"},
        {"kid": "../../../../dev/null"},
        {"kid": KID, "jwk": my_jwk},
        {"kid": KID, "jku": "http://127.0.0.1:9/keys"},
        {"kid": KID, "x5u": "http://127.0.0.1:9/keys"},
    ):
        yield jwt.encode(theirs, mine, "RS256", headers=header)
    # Signed as it should be, and then changed.
    head, _, signature = scene.host.token().split(".")
    yield f"{head}.{_encoded({**theirs, 'sub': 'ada'})}.{signature}"
    yield scene.host.token(aud="another application")
    yield scene.host.token(iss="https://another.example")
    for deep in (b"[" * 5_900, b'{"alg":"HS256","kid":["x"]}', b"\xff", b"7"):
        yield f"{_encoded(deep)}.{_encoded(deep[:90])}.x"


def _confused(scene: Scene) -> Iterator[str]:
    """The host's public key as a secret, and each issuer's claims under the other's key."""
    host = scene.host
    for key in (host.pem, host.pem.strip(), json.dumps(host.jwk).encode(), b""):
        for claims in (host.claims(), _own()):
            yield _signed({"alg": "HS256", "typ": "JWT", "kid": KID}, claims, key)
            yield _signed({"alg": "HS256", "typ": "JWT"}, claims, key)
            yield _signed({"alg": "RS256", "typ": "JWT", "kid": KID}, claims, key)
    yield jwt.encode(_own(), host.key, "RS256", headers={"kid": KID})
    yield jwt.encode(_own(), host.key, "RS256")
    yield jwt.encode(host.claims(), SECRET, "HS256", headers={"kid": KID})
    yield jwt.encode(host.claims(), SECRET, "HS256")


async def _refused(scene: Scene, tokens: Iterator[str]) -> str:
    answers = []
    for token in tokens:
        answers.append(await scene.ask("GET", "/v1/me", token))
        answers.append(await scene.ask("GET", scene.document, token))
        answers.append(await scene.shake_hands(token))
    return in_one(answers)


async def unsigned_tokens(scene: Scene) -> str:
    return await _refused(scene, _unsigned(scene))


async def forged_tokens(scene: Scene) -> str:
    return await _refused(scene, _forged(scene))


async def confused_keys(scene: Scene) -> str:
    return await _refused(scene, _confused(scene))


async def expired_tokens(scene: Scene) -> str:
    before = int(time.time()) - 60
    own = jwt.encode(_own(exp=before), SECRET, "HS256")
    answers = [await scene.ask("GET", "/v1/me", token) for token in _both(scene, own, before)]
    answers += [await scene.shake_hands(token) for token in _both(scene, own, before)]
    return in_one(f"{each}: {each.detail}" for each in answers)


def _both(scene: Scene, own: str, expired_at: int) -> tuple[str, str]:
    return own, scene.host.token(exp=expired_at)


async def revoked_token(scene: Scene) -> str:
    """Signed out: its session ends, and it opens nothing any more, nor does its ticket."""
    token = await scene.member()
    session = await scene.join(token)
    ticket = await _ticket(scene, token)
    await scene.ask("POST", "/v1/auth/logout", token)
    code, _ = await session.closed()
    answers = [
        await scene.ask("GET", "/v1/me", token),
        await scene.ask("POST", "/v1/auth/refresh", token),
        await scene.shake_hands(token),
        await scene.shake_hands(ticket),
    ]
    return f"close {code}, {in_one(answers)}"


async def anothers_renewal(scene: Scene) -> str:
    """X1: a session goes on with its own user's token alone."""
    codes = []
    for token in (
        scene.owner,
        await scene.stranger(),
        scene.host.token(),
        jwt.encode(_own(exp=1), SECRET, "HS256"),
        next(_unsigned(scene)),
    ):
        session = await scene.join(await scene.member())
        session.send_message({"type": "token", "token": token})
        codes.append((await session.closed())[0])
    return counted(f"close {code}" for code in codes)


# -- Tickets ---------------------------------------------------------------------------------------


async def _ticket(scene: Scene, token: str) -> str:
    made = await scene.ask("POST", f"{scene.document}/tickets", token)
    ticket: str = made.body["ticket"]
    return ticket


async def replayed_ticket(scene: Scene) -> str:
    token = await scene.member()
    ticket = await _ticket(scene, token)
    answers = [await scene.shake_hands(ticket) for _ in range(3)]
    made = await scene.ask("POST", "/v1/documents", token, {"title": "Another"})
    another = f"/v1/documents/{made.body['id']}"
    answers.append(await scene.shake_hands(await _ticket(scene, token), another))
    answers.append(await scene.ask("GET", "/v1/me", await _ticket(scene, token)))
    return counted(answers)


async def raced_ticket(scene: Scene) -> str:
    """Many at once use it: one is let in."""
    ticket = await _ticket(scene, await scene.member())
    return counted(await asyncio.gather(*(scene.shake_hands(ticket) for _ in range(20))))


# -- Other pages -----------------------------------------------------------------------------------


async def cross_site_websocket(scene: Scene) -> str:
    token, here = await scene.member(), f"127.0.0.1:{scene.port}"
    origins = (
        "https://elsewhere.example",
        "null",
        "file://",
        "",
        "http://127.0.0.1",
        f"http://{here}.elsewhere.example",
        f"http://{here}@elsewhere.example",
        f"http://elsewhere.example/{here}",
        f"http://elsewhere.example#{here}",
    )
    answers = [await scene.shake_hands(token, headers={"Origin": origin}) for origin in origins]
    # What a proxy might say of another host is not believed.
    told = {"Origin": "https://elsewhere.example", "X-Forwarded-Host": "elsewhere.example"}
    answers.append(await scene.shake_hands(token, headers=told))
    return in_one(answers)


async def cross_site_calls(scene: Scene) -> str:
    """No page of elsewhere may read an answer, or send what needs to be asked for first."""
    token = await scene.member()
    allowed = []
    for origin in ("https://elsewhere.example", "null"):
        for method, asks in (("GET", {}), ("OPTIONS", {"Access-Control-Request-Method": "PUT"})):
            raw = await scene.connect()
            lines = {"Host": "x", "Connection": "close", "Origin": origin, **asks}
            lines["Authorization"] = f"Bearer {token}"
            head = [f"{method} {scene.document} HTTP/1.1", *(f"{k}: {v}" for k, v in lines.items())]
            raw.send("\r\n".join([*head, "", ""]).encode())
            _, headers = await raw.answer_head()
            allowed += [name for name in headers if name.startswith("access-control-")]
            await raw.cut()
    return in_one(allowed) or "nothing is allowed"


ATTACKS = [
    Attack("another tenant's document", "404 not_found, as for none", anothers_document),
    Attack("guessed ids", "404 not_found", guessed_ids),
    Attack("tokens without a signature", "401 unauthorized", unsigned_tokens),
    Attack("forged tokens", "401 unauthorized", forged_tokens),
    Attack("key confusion", "401 unauthorized", confused_keys),
    Attack("expired tokens", "401 unauthorized: the token has expired", expired_tokens),
    Attack("a revoked token and its ticket", "close 4401, 401 unauthorized", revoked_token),
    Attack("a renewal with another's token", "5 x close 4401", anothers_renewal),
    Attack("a replayed ticket", "1 x 101, 4 x 401 unauthorized", replayed_ticket),
    Attack("a ticket in 20 hands", "1 x 101, 19 x 401 unauthorized", raced_ticket),
    Attack("cross-site WebSocket", "403 forbidden", cross_site_websocket),
    Attack("cross-site calls", "nothing is allowed", cross_site_calls),
]
