"""The tokens of a host application: verified with the keys that it publishes, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from collab.access import jwks
from collab.access.fetch import MAX_BYTES, Fetcher
from collab.access.host import HostTokens, user_id
from collab.access.jwks import HostKeys, parse
from collab.access.roles import Role
from collab.access.tokens import Tokens, User
from collab.api.fields import nearest_line
from collab.errors import Misconfigured, NotReady, Unauthorized
from tests.access import keys
from tests.access.keys import ALGORITHMS, AUDIENCE, ISSUER, Host, jwk, private_key, signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SECRET = "the secret of these tests, and of no others"
PAUSE_S = 0.05


@pytest.fixture
def host() -> Iterator[Host]:
    with keys.host() as made:
        yield made


@asynccontextmanager
async def verifying(
    host: Host, *, pause_s: float = PAUSE_S, max_age_s: float = 600.0, **other: str
) -> AsyncIterator[Tokens]:
    """Tokens of a server that trusts the host."""
    found = HostKeys(Fetcher(host.url).get, max_age_s, pause_s)
    told = {"issuer": ISSUER, "audience": AUDIENCE, "name_claim": "name"} | other
    trusted = HostTokens(
        found, **told, roles_claim="collab_roles", clean=partial(nearest_line, max_units=20)
    )
    fetching = asyncio.create_task(found.run(), name="keys")
    try:
        yield Tokens(SECRET, 3600, time.time, host=trusted)
    finally:
        fetching.cancel()
        with suppress(asyncio.CancelledError):
            await fetching


async def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        await tokens.verify(token)
    return refused.value.message


async def fetched(host: Host, times: int) -> None:
    async with asyncio.timeout(20):
        while host.asked < times:  # noqa: ASYNC110 - its threads tell nobody
            await asyncio.sleep(0.005)


# -- What is valid ------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_that_the_host_has_signed_says_who_somebody_is(
    host: Host, algorithm: str
) -> None:
    roles = {"a-document": "owner", "*": "viewer"}
    token = signed(algorithm, algorithm, collab_roles=roles, sid="session")
    async with verifying(host) as tokens:
        identity = await tokens.verify(token)
        again = await tokens.verify(signed(algorithm, algorithm, sid="session"))
        other = await tokens.verify(signed(algorithm, algorithm, sid="another"))
    assert identity.user == User(user_id(ISSUER, "ada@host"), "Ada", guest=False)
    assert identity.roles == {"a-document": Role.OWNER, "*": Role.VIEWER}
    assert identity.hosted
    assert identity.sign_in == again.sign_in != other.sign_in
    assert host.asked == 1


def test_users_of_a_host_are_nobody_elses() -> None:
    assert user_id(ISSUER, "ada") == user_id(ISSUER, "ada")
    assert len({user_id(ISSUER, "ada"), user_id(ISSUER, "bob"), user_id(f"{ISSUER}/", "ada")}) == 3
    assert len(user_id(ISSUER, "x" * 1000)) == 28


async def test_own_tokens_are_valid_beside_it(host: Host) -> None:
    own, _ = Tokens(SECRET, 3600, time.time).issue(User("ada", "Ada", guest=True))
    async with verifying(host) as tokens:
        identity = await tokens.verify(own)
    assert (identity.user_id, identity.hosted) == ("ada", False)


async def test_one_of_several_audiences_is_enough(host: Host) -> None:
    async with verifying(host) as tokens:
        await tokens.verify(signed("ES256", "ES256", aud=["other", AUDIENCE]))


async def test_a_single_key_need_not_be_named(host: Host) -> None:
    host.keys = [jwk("ES256", "only")]
    async with verifying(host) as tokens:
        await tokens.verify(signed("ES256", None))
    host.keys = [jwk("ES256", "one"), jwk("ES256", "two", 1)]
    async with verifying(host) as tokens:
        assert await refusal(tokens, signed("ES256", None)) == "the token is not valid"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("  Ada  ", "Ada"),
        ("A\nd\0a", "Ada"),
        ("x" * 50, "x" * 20),
        ("😀" * 11, "😀" * 10),
        ("\ud800Ada", "Ada"),
        ("\u2028", "Someone"),
        ("", "Someone"),
        (None, "Someone"),
        (7, "Someone"),
    ],
    ids=ascii,
)
async def test_a_name_is_made_one_line(host: Host, said: object, name: str) -> None:
    async with verifying(host) as tokens:
        assert (await tokens.verify(signed("EdDSA", "EdDSA", name=said))).name == name


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        ({"d": "editor", "e": "admiral", "f": 7, "g": None}, {"d": Role.EDITOR}),
        (["editor"], {}),
        ("owner", {}),
        (None, {}),
    ],
    ids=str,
)
async def test_what_is_no_role_is_passed_over(
    host: Host, said: object, roles: dict[str, Role]
) -> None:
    async with verifying(host) as tokens:
        token = signed("EdDSA", "EdDSA", collab_roles=said)
        assert (await tokens.verify(token)).roles == roles


async def test_a_strange_role_is_logged_once_and_the_token_never(
    host: Host, capfd: pytest.CaptureFixture[str]
) -> None:
    token = signed("EdDSA", "EdDSA", collab_roles={"d": "admiral"})
    async with verifying(host) as tokens:
        for _ in range(3):
            await tokens.verify(token)
    printed = "".join(capfd.readouterr())
    assert printed.count("admiral") == 1
    assert token not in printed


# -- What is not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"},
        {"iss": "collab"},
        {"iss": None},
        {"aud": "other"},
        {"aud": []},
        {"sub": ""},
        {"sub": 7},
        {"exp": "soon"},
        {"exp": True},
        {"iat": "then"},
        {"nbf": 2**40},
        {"nbf": "later"},
    ],
    ids=str,
)
async def test_a_wrong_claim_is_not_valid(host: Host, wrong: dict[str, Any]) -> None:
    said = keys.claims(**wrong)
    if wrong.get("iss", "") is None:
        del said["iss"]
    token = _encode(said, private_key("ES256"), "ES256", "ES256")
    async with verifying(host) as tokens:
        await tokens.verify(_encode(keys.claims(), private_key("ES256"), "ES256", "ES256"))
        assert await refusal(tokens, token) == "the token is not valid"


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp"])
async def test_a_missing_claim_is_not_valid(host: Host, missing: str) -> None:
    said = keys.claims()
    del said[missing]
    token = _encode(said, private_key("ES256"), "ES256", "ES256")
    async with verifying(host) as tokens:
        assert await refusal(tokens, token) == "the token is not valid"


async def test_an_expired_token_says_so_to_whoever_holds_it_alone(host: Host) -> None:
    async with verifying(host) as tokens:
        old = signed("ES256", "ES256", exp=int(time.time()) - 60)
        assert await refusal(tokens, old) == "the token has expired"
        forged = signed("ES256", "ES256", number=1, exp=int(time.time()) - 60)
        assert await refusal(tokens, forged) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_another_key_by_the_same_name_is_not_valid(host: Host, algorithm: str) -> None:
    async with verifying(host) as tokens:
        forged = signed(algorithm, algorithm, number=1)
        assert await refusal(tokens, forged) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ["none", "None", ""])
async def test_a_token_without_a_signature_is_not_valid(host: Host, algorithm: str) -> None:
    token = _unsigned({"alg": algorithm, "kid": "RS256"})
    async with verifying(host) as tokens:
        assert await refusal(tokens, token) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_public_key_is_nobodys_secret(host: Host, algorithm: str) -> None:
    """The classic confusion: the key that is published, taken for the secret of an HMAC."""
    public = private_key("RS256").public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    jwk_itself = json.dumps(host.keys[0]).encode()
    async with verifying(host) as tokens:
        for secret in (pem, pem.strip(), jwk_itself):
            token = _hmac(secret, algorithm, {"kid": "RS256"})
            assert await refusal(tokens, token) == "the token is not valid"


@pytest.mark.parametrize("other", [each for each in ALGORITHMS if each != "RS256"])
async def test_a_key_verifies_by_its_own_algorithm_alone(host: Host, other: str) -> None:
    async with verifying(host) as tokens:
        assert await refusal(tokens, signed(other, "RS256")) == "the token is not valid"
        strong = jwt.encode(keys.claims(), private_key("RS256"), "RS512", headers={"kid": "RS256"})
        assert await refusal(tokens, strong) == "the token is not valid"


async def test_the_hosts_key_signs_no_own_token_and_ours_none_of_the_host(host: Host) -> None:
    own: dict[str, Any] = {"iss": "collab", "aud": "collab", "guest": True}
    async with verifying(host) as tokens:
        for kid in ("ES256", None):
            forged = signed("ES256", kid, **own)
            assert await refusal(tokens, forged) == "the token is not valid"
        token = jwt.encode(keys.claims(), SECRET, "HS256", headers={"kid": "RS256"})
        assert await refusal(tokens, token) == "the token is not valid"


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../dev/null"},
        {"kid": "' or 1=1 --"},
        {"kid": "x" * 3_000},
        {"kid": ""},
        {"kid": "ES256", "jku": "http://127.0.0.1:1/"},
        {"kid": "ES256", "jwk": jwk("ES256", "ES256", 1)},
        {"kid": "ES256", "crit": ["exp"]},
    ],
    ids=lambda header: str(header)[:40],
)
async def test_no_header_brings_a_key(host: Host, header: dict[str, Any]) -> None:
    token = jwt.encode(keys.claims(), private_key("ES256", 1), "ES256", headers=header)
    async with verifying(host) as tokens:
        assert await refusal(tokens, token) == "the token is not valid"


@pytest.mark.parametrize("kid", [7, None, ["ES256"], {"a": 1}], ids=str)
async def test_a_key_is_named_by_text(host: Host, kid: object) -> None:
    head, body, signature = signed("ES256", "ES256").split(".")
    assert head
    changed = _part({"alg": "ES256", "kid": kid})
    async with verifying(host) as tokens:
        token = f"{changed}.{body}.{signature}"
        assert await refusal(tokens, token) == "the token is not valid"


# -- Which keys are used ------------------------------------------------------------------------

OCT = {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode().rstrip("="), "kid": "k"}


@pytest.mark.parametrize(
    "unusable",
    [
        OCT,
        {**OCT, "alg": "HS256"},
        jwk("RS256", "k", alg="none"),
        jwk("RS256", "k", alg="HS256"),
        jwk("RS256", "k", alg="RS512"),
        jwk("RS256", "k", alg="ES256"),
        jwk("ES256", "k", use="enc"),
        jwk("ES256", "k", key_ops=["sign"]),
        jwk("ES256", "k", key_ops=7),
        jwk("ES256", "k", crv="P-384"),
        jwk("ES256", "k", x="AAAA"),
        jwk("ES256", "k", x=7),
        jwk("EdDSA", "k", x="AAAA"),
        jwk("EdDSA", 7),  # type: ignore[arg-type]
        jwk("RS256", "k", n="AQAB"),
        jwk("RS256", "k", n=None),
        {"kty": "RSA", "kid": "k"},
        {"kty": "?"},
        {},
        7,
        None,
    ],
    ids=lambda _: "key",  # by number: the keys are others each time
)
def test_a_key_that_is_not_for_this_is_passed_over_and_the_others_count(unusable: object) -> None:
    good = jwk("RS256", "good", use="sig", alg="RS256", key_ops=["verify"])
    assert list(parse(json.dumps({"keys": [unusable, good]}).encode())) == ["good"]


def test_a_private_key_that_was_published_is_read_as_a_public_one() -> None:
    private: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(private_key("ES256"), as_dict=True)
    (key,) = parse(json.dumps({"keys": [private]}).encode()).values()
    token = signed("ES256", None)
    jwt.decode(token, key.key, algorithms=[key.algorithm], audience=AUDIENCE)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys":{}}', b"\xff", b"[" * 100_000, b'{"keys":[%s1]}' % (b"1," * 100)],
    ids=lambda document: str(document[:20]),
)
def test_what_is_no_set_of_keys_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(document)


# -- Fetching them ------------------------------------------------------------------------------


async def test_a_new_key_is_fetched_when_a_token_names_it(host: Host) -> None:
    async with verifying(host) as tokens:
        await tokens.verify(signed("ES256", "ES256"))
        host.keys.append(jwk("ES256", "new", 1))
        await asyncio.sleep(2 * PAUSE_S)
        await tokens.verify(signed("ES256", "new", 1))
        await tokens.verify(signed("ES256", "ES256"))
    assert host.asked == 2


async def test_a_flood_of_unknown_keys_leads_to_few_fetches(host: Host) -> None:
    async with verifying(host, pause_s=3600) as tokens:
        at_once = [refusal(tokens, signed("ES256", f"unknown-{n}")) for n in range(50)]
        assert set(await asyncio.gather(*at_once)) == {"the token is not valid"}
        for n in range(50):
            await refusal(tokens, signed("ES256", f"other-{n}"))
        await tokens.verify(signed("ES256", "ES256"))
    assert host.asked == 1


async def test_whoever_waits_for_keys_shares_one_fetch(host: Host) -> None:
    host.go_on.clear()
    async with verifying(host) as tokens:
        waiting = [
            asyncio.create_task(tokens.verify(signed(each, each)), name="waiting")
            for each in ALGORITHMS * 10
        ]
        await fetched(host, 1)
        host.go_on.set()
        await asyncio.gather(*waiting)
    assert host.asked == 1


async def test_a_key_that_was_withdrawn_is_forgotten_in_time(host: Host) -> None:
    async with verifying(host, max_age_s=0.2) as tokens:
        await tokens.verify(signed("ES256", "ES256"))
        host.keys = [jwk("RS256", "RS256")]
        await fetched(host, host.asked + 2)
        assert await refusal(tokens, signed("ES256", "ES256")) == "the token is not valid"
        await tokens.verify(signed("RS256", "RS256"))


@pytest.mark.parametrize(
    "failure",
    [
        {"status": 500},
        {"status": 404},
        {"status": 204},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        {"body": b"<html>"},
        {"body": b"[" * 100_000},
        {"body": b" " * (MAX_BYTES + 1)},
        {"headers": {"Content-Length": "1000000"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
    ],
    ids=lambda failure: str(failure)[:40],
)
async def test_the_keys_hold_while_fetching_fails(host: Host, failure: dict[str, Any]) -> None:
    async with verifying(host, max_age_s=0.2) as tokens:
        await tokens.verify(signed("ES256", "ES256"))
        for name, value in failure.items():
            setattr(host, name, value)
        await fetched(host, host.asked + 2)
        await tokens.verify(signed("ES256", "ES256"))
        with pytest.raises(NotReady) as refused:
            await tokens.verify(signed("ES256", "unknown"))
        assert refused.value.retry_after_ms is not None
        host.status, host.headers, host.body = 200, {}, None
        host.keys = [jwk("EdDSA", "new")]
        await fetched(host, host.asked + 2)
        await tokens.verify(signed("EdDSA", "new"))


async def test_before_any_key_is_known_nobody_is_turned_away_for_good(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "WAIT_S", 0.05)
    host.go_on.clear()
    async with verifying(host) as tokens:
        with pytest.raises(NotReady):
            await tokens.verify(signed("ES256", "ES256"))
        own, _ = tokens.issue(User("ada", "Ada", guest=True))
        await tokens.verify(own)


async def test_an_answer_that_does_not_come_is_given_up(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collab.access.fetch.TIMEOUT_S", 0.05)
    host.go_on.clear()
    with pytest.raises(TimeoutError):
        await Fetcher(host.url).get()


async def test_redirects_are_not_followed(host: Host) -> None:
    host.status, host.headers = 301, {"Location": host.url}
    with pytest.raises(OSError, match="301"):
        await Fetcher(host.url).get()
    assert host.asked == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://host.example/jwks.json",
        "http://192.168.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "https://",
        "https://user:secret@host.example/",
        "https://host.example/a b",
        "https://host.example/\r\nX: y",
        "https://[",
        "https://host.example:99999/",
        "host.example",
        "http://127.0.0.1.host.example/",
    ],
)
def test_a_url_that_anybody_could_answer_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="COLLAB_JWKS_URL"):
        Fetcher(url)


@pytest.mark.parametrize(
    "url", ["https://host.example", "http://localhost:8080/a?b=c", "http://[::1]/"]
)
def test_a_url_of_the_host_is_not(url: str) -> None:
    Fetcher(url)


@pytest.mark.parametrize("wrong", [{"issuer": ""}, {"audience": ""}, {"issuer": "collab"}], ids=str)
async def test_a_host_without_issuer_or_audience_is_refused(
    host: Host, wrong: dict[str, Any]
) -> None:
    with pytest.raises(Misconfigured, match="COLLAB_JWT_ISSUER"):
        async with verifying(host, **wrong):
            pass


def _encode(said: dict[str, Any], key: Any, algorithm: str, kid: str) -> str:
    """Whatever the claims are: PyJWT does not encode all that it may meet."""
    return jwt.PyJWS().encode(json.dumps(said).encode(), key, algorithm, {"kid": kid})


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _unsigned(header: dict[str, Any]) -> str:
    return f"{_part(header)}.{_part(keys.claims())}."


def _hmac(secret: bytes, algorithm: str, header: dict[str, Any]) -> str:
    """PyJWT refuses to do this."""

    text = f"{_part({'alg': algorithm, 'typ': 'JWT', **header})}.{_part(keys.claims())}"
    signature = hmac.digest(secret, text.encode(), f"sha{algorithm[2:]}")
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
