"""Tokens: what is issued is verified, and nothing else is."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access.keys import kid
from collab.access.tokens import LEEWAY_S, MAX_TOKEN_CHARS, Identity, Tokens, User
from collab.errors import Misconfigured, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    "sid": "1",
    "auth_time": NOW,
}
ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


def tokens(now: float = NOW, secret: str = SECRET, old: Sequence[str] = ()) -> Tokens:
    return Tokens(secret, TTL_S, lambda: now, old)


def signed(claims: dict[str, Any], key: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (json.dumps(part).encode() for part in (header, claims))
    encoded = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, signature])


def verified(token: str, now: float = NOW) -> Identity:
    """None of these waits for anything."""
    return asyncio.run(tokens(now).verify(token))


def refusal(token: str, now: float = NOW) -> str:
    with pytest.raises(Unauthorized) as refused:
        verified(token, now)
    return refused.value.message


def test_a_token_says_who_it_was_issued_to_and_until_when() -> None:
    token, expires_at = tokens().issue(ADA)
    assert expires_at == NOW + TTL_S
    identity = verified(token)
    assert identity.expires_at == expires_at
    assert (identity.issued_at, identity.roles) == (NOW * 1000, {})
    assert identity.user == ADA


def test_a_token_has_the_claims_that_are_documented() -> None:
    token, _ = tokens().issue(ADA)
    assert jwt.get_unverified_header(token) == {
        "alg": "HS256",
        "typ": "JWT",
        "kid": kid(SECRET),
    }
    claims = jwt.decode(token, options={"verify_signature": False})
    token_id = claims["jti"]
    assert claims == {**CLAIMS, "name": ADA.name, "jti": token_id, "sid": token_id}


def test_a_token_that_renews_another_is_of_the_same_sign_in() -> None:
    first = verified(tokens().issue(ADA)[0])
    again = verified(tokens(NOW + 60).issue(ADA, first)[0], NOW + 60)
    assert (again.sign_in, again.issued_at) == (first.sign_in, first.issued_at)
    assert again.expires_at == first.expires_at + 60


def test_two_sign_ins_of_one_user_are_not_the_same() -> None:
    first, second = (verified(tokens().issue(ADA)[0]) for _ in range(2))
    assert first.sign_in != second.sign_in


def test_a_sign_in_is_dated_to_the_millisecond() -> None:
    assert verified(tokens(NOW + 0.1234).issue(ADA)[0]).issued_at == NOW * 1000 + 123


def test_a_token_from_before_there_were_sign_ins_is_one_of_its_own() -> None:
    claims = {name: CLAIMS[name] for name in CLAIMS.keys() - {"sid", "auth_time"}}
    identity = verified(signed({**claims, "jti": "7"}))
    assert (identity.sign_in, identity.issued_at) == ("7", NOW * 1000)


def test_a_token_that_names_no_sign_in_and_no_time_is_older_than_all_others() -> None:
    claims = {name: CLAIMS[name] for name in ("iss", "aud", "sub", "name", "guest", "exp")}
    first, second = (verified(signed({**claims, "n": n})) for n in range(2))
    assert first.sign_in != second.sign_in
    assert first.issued_at == second.issued_at == 0


def test_two_tokens_are_never_the_same() -> None:
    assert tokens().issue(ADA) != tokens().issue(ADA)


def test_a_token_is_valid_until_a_little_after_it_expires() -> None:
    token, expires_at = tokens().issue(ADA)
    verified(token, expires_at + LEEWAY_S - 0.1)
    assert refusal(token, expires_at + LEEWAY_S) == "the token has expired"


def test_a_token_of_a_server_whose_clock_is_ahead_is_valid() -> None:
    token, _ = tokens(NOW + 3).issue(ADA)
    assert verified(token).user == ADA


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
        {"exp": 2**53 + 1},
        {"sid": ""},
        {"sid": 7},
        {"sid": "x" * 65},
        {"auth_time": "then"},
        {"auth_time": True},
        {"auth_time": -1},
        {"auth_time": float("nan")},
        {"auth_time": float("inf")},
    ],
    ids=str,
)
def test_a_wrong_claim_is_not_valid(wrong: dict[str, Any]) -> None:
    verified(signed(CLAIMS))
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
    with pytest.raises(Misconfigured, match="COLLAB_SECRET must be at least 32 bytes"):
        tokens(secret="x" * 31)
    with pytest.raises(Misconfigured, match="COLLAB_OLD_SECRETS must be at least 32 bytes"):
        tokens(old=[SECRET, "x" * 31])


OTHER = "another secret, of a server before or after"


def test_what_an_old_secret_has_signed_is_valid_after_a_rotation() -> None:
    token, _ = tokens(secret=OTHER).issue(ADA)
    assert refusal(token) == "the token is not valid"
    rotated = tokens(old=[OTHER])
    identity = asyncio.run(rotated.verify(token))
    assert identity.user == ADA
    renewed, _ = rotated.issue(ADA, identity)
    assert verified(renewed).sign_in == identity.sign_in  # the new secret alone is enough


def test_a_token_that_names_no_key_is_tried_with_the_present_one_alone() -> None:
    rotated = tokens(old=[OTHER])
    assert asyncio.run(rotated.verify(signed(CLAIMS))).user_id == "ada"
    with pytest.raises(Unauthorized):
        asyncio.run(rotated.verify(signed(CLAIMS, key=OTHER)))


@pytest.mark.parametrize("named", [OTHER, "unknown", ""])
def test_a_token_is_tried_with_the_key_that_it_names_alone(named: str) -> None:
    header = {"kid": kid(named) if named else ""}
    forged = jwt.encode(CLAIMS, SECRET, "HS256", headers=header)
    with pytest.raises(Unauthorized):
        asyncio.run(tokens(old=[OTHER]).verify(forged))


def test_the_name_of_a_key_does_not_give_it_away() -> None:
    assert kid(SECRET) != kid(OTHER)
    assert not any(part in SECRET for part in (kid(SECRET), kid(SECRET)[:4]))


@pytest.mark.parametrize(
    ("not_before", "valid"),
    [(NOW, True), (NOW + LEEWAY_S, True), (NOW + LEEWAY_S + 1, False), ("soon", False)],
)
def test_a_token_is_not_valid_before_its_time(not_before: object, valid: bool) -> None:
    token = signed({**CLAIMS, "nbf": not_before})
    assert _valid(token) == valid


def _valid(token: str) -> bool:
    try:
        verified(token)
    except Unauthorized:
        return False
    return True


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
        identity = verified(signed(claims))
    except Unauthorized:
        return
    assert identity.user_id == claims["sub"]
