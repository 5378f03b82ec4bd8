"""Handshakes that no good client makes, and what each is answered (H1 to H3).

After each, an editor in the document types on.
"""

from __future__ import annotations

import base64
import json
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

import jwt

from tests.live.raw import Raw, upgrade
from tests.serving import SECRET, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def signed(
    algorithm: str = "HS256",
    secret: str = SECRET,
    headers: dict[str, Any] | None = None,
    **changed: Any,
) -> str:
    """A token as the server would give it, but for what is changed; None leaves a claim out."""
    claims = {
        "iss": "collab",
        "aud": "collab",
        "sub": "mallory",
        "name": "Mallory",
        "guest": True,
        "exp": int(time.time()) + 3_600,
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, secret, algorithm, headers)


def unsigned(algorithm: str) -> str:
    """A token whose header names an algorithm, and that bears no signature."""
    claims = signed().split(".")[1]
    header = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{claims}."


WELCOME = 101, ""
BAD_CLIENT = 400, "bad_request", "client must be 16 to 64 of A-Z a-z 0-9 _ -"
TOKEN_NEEDED = 401, "unauthorized", "a token is needed"
BAD_TOKEN = 401, "unauthorized", "the token is not valid"
HALF = 400, "bad_request", "a resume needs both revision and mark"
BAD_REVISION = 400, "bad_request", "revision must be a whole number"
BAD_INFLIGHT = 400, "bad_request", "inflight must be a whole number"
BAD_ORIGIN = 403, "forbidden", "this origin is not allowed"
NO_DOCUMENT = 404, "not_found", "there is no such document"
NO_RESOURCE = 404, "not_found", "Not Found"
NO_PATH = 403, ""
NO_WEBSOCKET = 400, "Failed to open a WebSocket connection"
TOO_LONG = 414, "Failed to open a WebSocket connection"
TOO_MUCH = 431, "Failed to open a WebSocket connection"

LIVE = "/v1/documents/{id}/live"


def with_token(token: str) -> str:
    return f"{LIVE}?token={token}&client={{client}}"


GOOD = LIVE + "?token={token}&client={client}"
LONG_ID = "/v1/documents/" + "d" * 7_000 + "/live?token={token}&client={client}"
BEARER = LIVE + "?client={client}"

# What is asked, with which headers, and the status and the problem's code and detail.
HANDSHAKES: list[tuple[str, str, dict[str, str | None], Any]] = [
    # who
    ("no client", LIVE + "?token={token}", {}, BAD_CLIENT),
    ("an empty client", LIVE + "?token={token}&client=", {}, BAD_CLIENT),
    ("a client of 15", LIVE + "?token={token}&client=" + "c" * 15, {}, BAD_CLIENT),
    ("a client of 65", LIVE + "?token={token}&client=" + "c" * 65, {}, BAD_CLIENT),
    ("a client of 5,000", LIVE + "?token={token}&client=" + "c" * 5_000, {}, BAD_CLIENT),
    (
        "a client that is not ASCII",
        LIVE + "?token={token}&client=gr%C3%BC%C3%9Fe-gr%C3%BC%C3%9Fe-xx",
        {},
        BAD_CLIENT,
    ),
    ("a client of other digits", LIVE + "?token={token}&client=" + "%D9%A1" * 16, {}, BAD_CLIENT),
    ("a client that is no UTF-8", LIVE + "?token={token}&client=" + "%FF" * 16, {}, BAD_CLIENT),
    (
        "a client with a line feed after it",
        LIVE + "?token={token}&client=" + "c" * 16 + "%0A",
        {},
        BAD_CLIENT,
    ),
    ("a client with NUL", LIVE + "?token={token}&client=" + "c" * 16 + "%00", {}, BAD_CLIENT),
    ("a client with a path", LIVE + "?token={token}&client=../../../../etc/passwd", {}, BAD_CLIENT),
    # tokens
    ("no token", LIVE + "?client={client}", {}, TOKEN_NEEDED),
    ("an empty token", LIVE + "?token=&client={client}", {}, TOKEN_NEEDED),
    ("a token that is rubbish", LIVE + "?token=rubbish&client={client}", {}, BAD_TOKEN),
    ("a token of dots", LIVE + "?token=..&client={client}", {}, BAD_TOKEN),
    ("a token of 5,000", LIVE + "?token=" + "x" * 5_000 + "&client={client}", {}, BAD_TOKEN),
    ("a token that is not ASCII", LIVE + "?token=gr%C3%BC%C3%9Fe&client={client}", {}, BAD_TOKEN),
    ("a token with NUL", LIVE + "?token=a%00b&client={client}", {}, BAD_TOKEN),
    ("a token of no algorithm", with_token(unsigned("none")), {}, BAD_TOKEN),
    ("a token of No algorithm", with_token(unsigned("None")), {}, BAD_TOKEN),
    ("a token without its signature", with_token(unsigned("HS256")), {}, BAD_TOKEN),
    ("a token that names a public key", with_token(unsigned("RS256")), {}, BAD_TOKEN),
    ("a token signed by another", with_token(signed(secret=SECRET[::-1])), {}, BAD_TOKEN),
    (
        "a token signed by a longer hash",
        with_token(signed("HS512", secret=SECRET * 2)),
        {},
        BAD_TOKEN,
    ),
    ("a token for others", with_token(signed(aud="others")), {}, BAD_TOKEN),
    ("a token for us and others", with_token(signed(aud=["collab", "others"])), {}, BAD_TOKEN),
    ("a token for nobody", with_token(signed(aud=None)), {}, BAD_TOKEN),
    ("a token by another issuer", with_token(signed(iss="elsewhere")), {}, BAD_TOKEN),
    ("a token by no issuer", with_token(signed(iss=None)), {}, BAD_TOKEN),
    ("a token of nobody", with_token(signed(sub=None)), {}, BAD_TOKEN),
    ("a token of an empty user", with_token(signed(sub="")), {}, BAD_TOKEN),
    ("a token of a user's number", with_token(signed(sub=7)), {}, BAD_TOKEN),
    ("a token of a long user", with_token(signed(sub="m" * 65)), {}, BAD_TOKEN),
    ("a token without a name", with_token(signed(name=None)), {}, BAD_TOKEN),
    ("a token that says guest in words", with_token(signed(guest="yes")), {}, BAD_TOKEN),
    ("a token without an end", with_token(signed(exp=None)), {}, BAD_TOKEN),
    (
        "a token that ended",
        with_token(signed(exp=int(time.time()) - 60)),
        {},
        (401, "unauthorized", "the token has expired"),
    ),
    ("a token that ends soon", with_token(signed(exp="soon")), {}, BAD_TOKEN),
    ("a token that ends at true", with_token(signed(exp=True)), {}, BAD_TOKEN),
    ("a token that ends at a fraction", with_token(signed(exp=1e12)), {}, BAD_TOKEN),
    ("a token that begins later", with_token(signed(nbf=int(time.time()) + 36_000)), {}, BAD_TOKEN),
    (
        "a token that asks for a header",
        with_token(signed(headers={"crit": ["x"], "x": 1})),
        {},
        BAD_TOKEN,
    ),
    (
        "another scheme of authorization",
        BEARER,
        {"Authorization": "Basic bWFsbG9yeTpteQ=="},
        TOKEN_NEEDED,
    ),
    ("a bearer of nothing", BEARER, {"Authorization": "Bearer "}, TOKEN_NEEDED),
    ("a bearer of two tokens", BEARER, {"Authorization": "Bearer a.b.c d.e.f"}, TOKEN_NEEDED),
    ("a bearer that is rubbish", BEARER, {"Authorization": "Bearer rubbish"}, BAD_TOKEN),
    # where
    ("half of a resume", GOOD + "&revision=1", {}, HALF),
    ("the other half of a resume", GOOD + "&mark=abc", {}, HALF),
    ("a revision that is negative", GOOD + "&revision=-1&mark=abc", {}, BAD_REVISION),
    ("a revision that is a word", GOOD + "&revision=one&mark=abc", {}, BAD_REVISION),
    ("a revision that is empty", GOOD + "&revision=&mark=abc", {}, BAD_REVISION),
    ("a revision that is a fraction", GOOD + "&revision=1.0&mark=abc", {}, BAD_REVISION),
    ("a revision with an exponent", GOOD + "&revision=1e3&mark=abc", {}, BAD_REVISION),
    ("a revision with a plus", GOOD + "&revision=%2B1&mark=abc", {}, BAD_REVISION),
    ("a revision with a space", GOOD + "&revision=%201&mark=abc", {}, BAD_REVISION),
    ("a revision in other digits", GOOD + "&revision=%D9%A1&mark=abc", {}, BAD_REVISION),
    ("a revision with an underscore", GOOD + "&revision=1_0&mark=abc", {}, BAD_REVISION),
    ("a revision of 2**53", GOOD + f"&revision={2**53}&mark=abc", {}, BAD_REVISION),
    (
        "a revision of 5,000 digits",
        GOOD + "&revision=" + "9" * 5_000 + "&mark=abc",
        {},
        BAD_REVISION,
    ),
    ("an inflight that is negative", GOOD + "&inflight=-1", {}, BAD_INFLIGHT),
    ("an inflight that is empty", GOOD + "&inflight=", {}, BAD_INFLIGHT),
    ("an inflight that is a fraction", GOOD + "&inflight=1.5", {}, BAD_INFLIGHT),
    ("an inflight of 2**53", GOOD + f"&inflight={2**53}", {}, BAD_INFLIGHT),
    # from where
    ("a page of elsewhere", GOOD, {"Origin": "https://elsewhere.example"}, BAD_ORIGIN),
    ("a page of nowhere", GOOD, {"Origin": "null"}, BAD_ORIGIN),
    ("a page of an empty origin", GOOD, {"Origin": ""}, BAD_ORIGIN),
    ("a page of our name at another port", GOOD, {"Origin": "http://127.0.0.1:1"}, BAD_ORIGIN),
    (
        "a page whose name begins as ours",
        GOOD,
        {"Origin": "http://{host}.elsewhere.example"},
        BAD_ORIGIN,
    ),
    (
        "a page with our name as its user",
        GOOD,
        {"Origin": "http://{host}@elsewhere.example"},
        BAD_ORIGIN,
    ),
    ("a page whose origin is no URL", GOOD, {"Origin": "http://["}, BAD_ORIGIN),
    ("a page whose origin is not ASCII", GOOD, {"Origin": "http://grüße.example"}, BAD_ORIGIN),
    ("an origin without a scheme", GOOD, {"Origin": "{host}"}, BAD_ORIGIN),
    (
        "two origins",
        GOOD,
        {"Origin": "http://{host}", "origin": "http://elsewhere.example"},
        NO_WEBSOCKET,
    ),
    (
        "a page of ours, to another host",
        GOOD,
        {"Origin": "http://{host}", "Host": "elsewhere.example"},
        BAD_ORIGIN,
    ),
    ("no host", GOOD, {"Host": None}, WELCOME),
    # which
    (
        "a document that is not there",
        "/v1/documents/nothing/live?token={token}&client={client}",
        {},
        NO_DOCUMENT,
    ),
    (
        "a document with a space",
        "/v1/documents/%20/live?token={token}&client={client}",
        {},
        NO_DOCUMENT,
    ),
    (
        "a document with NUL",
        "/v1/documents/{id}%00/live?token={token}&client={client}",
        {},
        NO_DOCUMENT,
    ),
    (
        "a document that is not UTF-8",
        "/v1/documents/%FF%FE/live?token={token}&client={client}",
        {},
        NO_DOCUMENT,
    ),
    (
        "a document with a long name",
        LONG_ID,
        {},
        NO_DOCUMENT,
    ),
    (
        "a document in SQL",
        "/v1/documents/'%20or%20'1'='1/live?token={token}&client={client}",
        {},
        NO_DOCUMENT,
    ),
    ("no document", "/v1/documents//live?token={token}&client={client}", {}, NO_PATH),
    ("another path", "/v1/documents/{id}/lively?token={token}&client={client}", {}, NO_PATH),
    ("a path with a slash after it", LIVE + "/?token={token}&client={client}", {}, NO_PATH),
    ("a path with dots", "/v1/documents/x/../{id}/live?token={token}&client={client}", {}, NO_PATH),
    (
        "a path with escaped slashes",
        "/v1/documents%2F{id}%2Flive?token={token}&client={client}",
        {},
        WELCOME,
    ),
    ("a path in capitals", "/V1/DOCUMENTS/{id}/LIVE?token={token}&client={client}", {}, NO_PATH),
    ("a path of another origin", "http://elsewhere.example" + GOOD, {}, NO_PATH),
    # how
    ("no upgrade", GOOD, {"Upgrade": None, "Connection": None}, NO_RESOURCE),
    ("an upgrade to something else", GOOD, {"Upgrade": "h2c"}, NO_RESOURCE),
    (
        "an upgrade that the connection does not name",
        GOOD,
        {"Connection": "keep-alive"},
        NO_RESOURCE,
    ),
    ("no key", GOOD, {"Sec-WebSocket-Key": None}, NO_WEBSOCKET),
    ("a key that is too short", GOOD, {"Sec-WebSocket-Key": "c2hvcnQ="}, NO_WEBSOCKET),
    ("a key that is rubbish", GOOD, {"Sec-WebSocket-Key": "?"}, NO_WEBSOCKET),
    ("no version", GOOD, {"Sec-WebSocket-Version": None}, NO_WEBSOCKET),
    ("an old version", GOOD, {"Sec-WebSocket-Version": "8"}, NO_WEBSOCKET),
    ("a path that is too long", LIVE + "?token={token}&client=" + "c" * 30_000, {}, TOO_LONG),
    ("a header that is too long", GOOD, {"X": "x" * 20_000}, TOO_MUCH),
    ("too many headers", GOOD, {f"X-{number}": "x" for number in range(150)}, TOO_MUCH),
    ("a body of no length", GOOD, {"Transfer-Encoding": "chunked"}, (400, "")),
    (
        "a header with control characters",
        GOOD,
        {"X": "\x01\x7f"},
        (400, "Invalid HTTP request received."),
    ),
    (
        "a path that is not ASCII",
        "/v1/documents/grüße/live",
        {},
        (400, "Invalid HTTP request received."),
    ),
]


async def test_every_hostile_handshake_has_its_answer_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """H1 to H3: after each, Ada types."""
    caplog.set_level(logging.ERROR)
    answers: dict[str, Any] = {}
    async with serving(tmp_path) as server:
        document_id, token = await server.document(), await server.token("Mallory")
        ada = await server.join(document_id)
        host = f"127.0.0.1:{server.port}"
        for number, (what, path, headers, _) in enumerate(HANDSHAKES):
            mallory = await Raw.open(server.port)
            path = path.format(id=document_id, token=token, client=secrets.token_urlsafe(16))
            given = {name: value and value.format(host=host) for name, value in headers.items()}
            mallory.send(upgrade(path, server.port, given))
            answers[what] = await mallory.refusal()
            await mallory.cut()
            await ada.push([number, [0, "x"]] if number else [[0, "x"]])
            assert (await ada.hear("updates", "refused"))["type"] == "updates", what
        assert await server.text(document_id) == "x" * len(HANDSHAKES)
    assert answers == {what: expected for what, _, _, expected in HANDSHAKES}
    assert not caplog.records
