"""The list of documents, as REST offers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    import httpx2

SORTS = ["updated_at", "-updated_at", "created_at", "-created_at", "title", "-title"]
TITLES = ["b", "A", "Ж", "ж 100%", "C_1"]


@pytest.fixture
async def ada(api: Api) -> User:
    """Somebody with documents, made a second apart."""
    ada = await api.user("Ada")
    for title in TITLES:
        await ada.document(title)
        api.clock.now_s += 1
    return ada


def titles(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["title"] for each in answer.json()["items"]]


async def test_nothing_is_an_empty_page(api: Api) -> None:
    answer = await (await api.user()).get("/v1/documents")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})


async def test_the_last_changed_comes_first(ada: User) -> None:
    answer = await ada.get("/v1/documents")
    assert titles(answer) == TITLES[::-1]
    assert answer.json()["next"] is None


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("updated_at", TITLES),
        ("-updated_at", TITLES[::-1]),
        ("created_at", TITLES),
        ("-created_at", TITLES[::-1]),
        ("title", ["A", "b", "C_1", "Ж", "ж 100%"]),
        ("-title", ["ж 100%", "Ж", "C_1", "b", "A"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_follow_one_another(ada: User, sort: str, order: list[str], limit: int) -> None:
    shown: list[str] = []
    cursor: dict[str, str] = {}
    for _ in order:
        answer = await ada.get("/v1/documents", sort=sort, limit=limit, **cursor)
        shown += titles(answer)
        if answer.json()["next"] is None:
            break
        cursor = {"cursor": answer.json()["next"]}
    assert shown == order


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("Ж", ["ж 100%", "Ж"]),
        ("ж", ["ж 100%", "Ж"]),
        ("a", ["A"]),
        ("%", ["ж 100%"]),
        ("_", ["C_1"]),
        ("0% ", []),
        ("nothing", []),
        ("", TITLES[::-1]),
    ],
)
async def test_a_title_is_found_by_any_part_of_it_in_any_case(
    ada: User, q: str, found: list[str]
) -> None:
    assert titles(await ada.get("/v1/documents", q=q)) == found


async def test_a_role_is_asked_for(api: Api, ada: User) -> None:
    bob = await api.user("Bob")
    made = await bob.document("Bob's")
    await ada.get(f"/v1/documents/{made['id']}")
    assert titles(await ada.get("/v1/documents", role="editor")) == ["Bob's"]
    assert titles(await ada.get("/v1/documents", role="owner")) == TITLES[::-1]
    assert titles(await ada.get("/v1/documents", role="viewer")) == []


@pytest.mark.parametrize(
    ("params", "parameter", "detail"),
    [
        ({"limit": 0}, "limit", "Input should be greater than or equal to 1"),
        ({"limit": 101}, "limit", "Input should be less than or equal to 100"),
        (
            {"limit": "x"},
            "limit",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            {"sort": "size"},
            "sort",
            "Input should be " + ", ".join(map(repr, SORTS[:-1])) + f" or {SORTS[-1]!r}",
        ),
        (
            {"role": "king"},
            "role",
            "Input should be 'owner', 'editor', 'commenter' or 'viewer'",
        ),
        ({"q": "x" * 201}, "q", "String should have at most 200 characters"),
        ({"q": "\0"}, "q", r"String should match pattern '^[^\x00-\x1f\x7f]*$'"),
        ({"offset": 5}, "offset", "Extra inputs are not permitted"),
    ],
    ids=str,
)
async def test_a_parameter_that_is_not_as_documented_is_named(
    ada: User, params: dict[str, Any], parameter: str, detail: str
) -> None:
    answer = await ada.get("/v1/documents", **params)
    errors = [{"detail": detail, "parameter": parameter}]
    whole = "the request is not as documented"
    assert_problem(answer, 422, "invalid", "Invalid request", whole, errors=errors)


@pytest.mark.parametrize("cursor", ["", "x", "WyJ0aXRsZSJd", "\0", "😀"], ids=ascii)
async def test_a_cursor_that_was_not_given_out_is_a_bad_request(ada: User, cursor: str) -> None:
    answer = await ada.get("/v1/documents", cursor=cursor)
    detail = "the cursor is not one that this list gave out"
    assert_problem(answer, 400, "bad_request", "Bad request", detail)


async def test_a_cursor_of_another_order_is_a_bad_request(ada: User) -> None:
    first = await ada.get("/v1/documents", limit=1)
    answer = await ada.get("/v1/documents", sort="title", cursor=first.json()["next"])
    assert answer.status_code == 400
