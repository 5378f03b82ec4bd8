"""Tokens: what is issued is verified, and nothing else is."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access.tokens import LEEWAY_S, MAX_TOKEN_CHARS, Identity, Tokens, User
from collab.errors import Misconfigured, Unauthorized

SECRET = "the secret of these tests, and of no others"
NOW = 1_800_000_000
TTL_S = 3600
ADA = User("ada", "Ada 😀 Lovelace", guest=True)
CLAIMS = {
    "iss": "collab",
    "aud": "collab",
    "sub": "ada",
    "name": "Ada",
    "guest": True,
    "iat": NOW,
    "exp": NOW + TTL_S,
    "jti": "1",
}
ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


def tokens(now: float = NOW, secret: str = SECRET) -> Tokens:
    return Tokens(secret, TTL_S, lambda: now)


def signed(claims: dict[str, Any], key: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (json.dumps(part).encode() for part in (header, claims))
    encoded = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, signature])


def refusal(token: str, now: float = NOW) -> str:
    with pytest.raises(Unauthorized) as refused:
        tokens(now).verify(token)
    return refused.value.message


def test_a_token_says_who_it_was_issued_to_and_until_when() -> None:
    token, expires_at = tokens().issue(ADA)
    assert expires_at == NOW + TTL_S
    identity = tokens().verify(token)
    assert identity == Identity("ada", ADA.name, guest=True, expires_at=expires_at)
    assert identity.user == ADA


def test_a_token_has_the_claims_that_are_documented() -> None:
    token, _ = tokens().issue(ADA)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {**CLAIMS, "name": ADA.name, "jti": claims["jti"]}


def test_two_tokens_are_never_the_same() -> None:
    assert tokens().issue(ADA) != tokens().issue(ADA)


def test_a_token_is_valid_until_a_little_after_it_expires() -> None:
    token, expires_at = tokens().issue(ADA)
    tokens(expires_at + LEEWAY_S - 0.1).verify(token)
    assert refusal(token, expires_at + LEEWAY_S) == "the token has expired"


def test_a_token_of_a_server_whose_clock_is_ahead_is_valid() -> None:
    token, _ = tokens(NOW + 3).issue(ADA)
    assert tokens(NOW).verify(token).user == ADA


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "other"},
        {"aud": ["collab", "other"]},
        {"iss": "other"},
        {"sub": 7},
        {"sub": ""},
        {"sub": "x" * 65},
        {"name": None},
        {"guest": 1},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1.8e9},
    ],
    ids=str,
)
def test_a_wrong_claim_is_not_valid(wrong: dict[str, Any]) -> None:
    tokens().verify(signed(CLAIMS))
    assert refusal(signed({**CLAIMS, **wrong})) == "the token is not valid"


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "name", "guest"])
def test_a_missing_claim_is_not_valid(missing: str) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != missing}
    assert refusal(signed(claims)) == "the token is not valid"


def test_another_key_is_not_valid() -> None:
    assert refusal(signed(CLAIMS, key=SECRET[::-1])) == "the token is not valid"


def test_an_expired_token_with_another_key_does_not_tell_that_it_is_expired() -> None:
    token = signed({**CLAIMS, "exp": NOW - TTL_S}, key=SECRET[::-1])
    assert refusal(token) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_not_valid(algorithm: str) -> None:
    assert refusal(unsigned({"alg": algorithm, "typ": "JWT"}, CLAIMS)) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_another_algorithm_with_the_right_key_is_not_valid(algorithm: str) -> None:
    assert refusal(signed(CLAIMS, algorithm=algorithm)) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA"])
def test_a_token_cannot_choose_a_public_key_algorithm(algorithm: str) -> None:
    """The signature is right for HS256; the header makes the secret out to be a public key."""
    right = signed(CLAIMS)
    forged = unsigned({"alg": algorithm, "typ": "JWT"}, CLAIMS, right.rpartition(".")[2])
    assert refusal(forged) == "the token is not valid"


def test_a_token_cannot_bring_its_own_key() -> None:
    own = base64.urlsafe_b64encode(b"k" * 32).decode().rstrip("=")
    headers = {"jwk": {"kty": "oct", "k": own}, "kid": "../../dev/null", "jku": "http://x/"}
    forged = jwt.encode(CLAIMS, "k" * 32, "HS256", headers=headers)
    assert refusal(forged) == "the token is not valid"


def test_a_changed_claim_is_not_valid() -> None:
    head, _, signature = signed(CLAIMS).split(".")
    changed = unsigned({}, {**CLAIMS, "sub": "bob"}).split(".")[1]
    assert refusal(f"{head}.{changed}.{signature}") == "the token is not valid"


def test_an_overlong_token_is_refused_unread() -> None:
    long = signed({**CLAIMS, "name": "x" * MAX_TOKEN_CHARS})
    assert refusal(long) == "the token is not valid"


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(Misconfigured, match="at least 32 bytes"):
        tokens(secret="x" * 31)


@given(st.text() | st.text("eyJ.-_=0").map(lambda s: s + "." + s + "."))
def test_no_text_is_a_token(text: str) -> None:
    assert refusal(text) == "the token is not valid"


@given(st.dictionaries(st.text() | st.sampled_from(["alg", "typ", "crit", "b64", "kid"]), ANYTHING))
def test_no_header_confuses_the_verification(header: dict[str, Any]) -> None:
    assert refusal(unsigned(header, CLAIMS, "AAAA")) == "the token is not valid"


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf"]), ANYTHING))
def test_signed_claims_of_any_form_are_an_identity_or_refused(wrong: dict[str, Any]) -> None:
    claims = {**CLAIMS, **wrong}
    if not isinstance(claims["iss"], str):
        claims["iss"] = "other"  # PyJWT does not encode the rest
    try:
        identity = tokens().verify(signed(claims))
    except Unauthorized:
        return
    assert identity.user_id == claims["sub"]
