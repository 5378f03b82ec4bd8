"""Revocations end the tokens that they are about, and no others."""

from __future__ import annotations

import asyncio

import pytest

from collab.access import revocation
from collab.access.digest import digest
from collab.access.revocation import Revocations, of_sign_in, of_user
from collab.access.tokens import Identity, Tokens, User
from collab.errors import Unauthorized

SECRET = "the secret of these tests, and of no others"
NOW_S, TTL_S = 1_800_000_000, 3600
NOW = NOW_S * 1000
ADA = User("ada", "Ada", guest=False)


def identity(user_id: str = "ada", sign_in: str = "1", issued_at: int = NOW) -> Identity:
    return Identity(user_id, "Ada", False, NOW_S + TTL_S, sign_in, issued_at)


def test_a_sign_in_that_was_ended_is_over_whenever_its_tokens_were_issued() -> None:
    known = Revocations()
    known.learn([of_sign_in(identity(), NOW, TTL_S)])
    assert known.end(identity())
    assert known.end(identity(issued_at=NOW + 1000))
    assert not known.end(identity(sign_in="2"))
    assert not known.end(identity(user_id="1", sign_in="ada"))


def test_all_sign_ins_of_a_user_that_began_before_a_time_are_over() -> None:
    known = Revocations()
    known.learn([of_user("ada", NOW, TTL_S)])
    assert known.end(identity(issued_at=NOW - 1))
    assert not known.end(identity(issued_at=NOW))
    assert not known.end(identity("bob", issued_at=NOW - 1))


def test_what_is_known_already_is_no_news() -> None:
    known = Revocations()
    first = of_user("ada", NOW, TTL_S)
    assert known.learn([first])
    assert not known.learn([first, of_user("ada", NOW - 1, TTL_S)])
    assert known.learn([first, of_user("ada", NOW + 1, TTL_S)])
    assert known.end(identity(issued_at=NOW))


def test_one_is_kept_until_all_that_it_ends_has_expired() -> None:
    known = Revocations()
    known.learn([of_sign_in(identity(), NOW, 60), of_user("ada", NOW, 60)])
    known.forget_expired((NOW_S + 60) * 1000)
    assert len(known) == 2
    known.forget_expired((NOW_S + TTL_S + 5) * 1000)
    assert len(known) == 1
    assert known.end(identity())
    known.forget_expired((NOW_S + TTL_S + 60) * 1000)
    assert len(known) == 0


def test_a_token_that_renews_one_of_an_ended_sign_in_is_over_as_well() -> None:
    """It was renewed on a server that had not heard of it yet."""
    tokens = Tokens(SECRET, TTL_S, lambda: NOW_S)
    first, _ = tokens.issue(ADA)
    said = asyncio.run(tokens.verify(first))
    elsewhere, _ = Tokens(SECRET, TTL_S, lambda: NOW_S + 1).issue(ADA, said)
    for each in (of_sign_in(said, NOW, TTL_S), of_user("ada", NOW + 1, TTL_S)):
        tokens = Tokens(SECRET, TTL_S, lambda: NOW_S)
        tokens.revocations.learn([each])
        for token in (first, elsewhere):
            with pytest.raises(Unauthorized, match="this sign-in has ended"):
                asyncio.run(tokens.verify(token))
        fresh, _ = Tokens(SECRET, TTL_S, lambda: NOW_S + 1).issue(ADA)
        asyncio.run(tokens.verify(fresh))


def test_looking_whether_a_token_is_over_hashes_nothing_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed = list[tuple[str, ...]]()

    def counting(*parts: str) -> str:
        hashed.append(parts)
        return digest(*parts)

    monkeypatch.setattr(revocation, "digest", counting)
    known = Revocations()
    known.learn([of_user("somebody", NOW, TTL_S)])
    sessions = [identity(f"user {n}", f"sign-in {n}") for n in range(100)]
    for _ in range(3):
        assert not any(known.end(each) for each in sessions)
    assert len(hashed) <= 201
