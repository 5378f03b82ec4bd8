"""A server's documents with somebody of each role in them, for requests that nobody wrote by hand.

`KEPT` is what may be asked for all the time. What ends something has documents of its own, or all
that comes after it would meet nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

PEOPLE = ("owner", "editor", "commenter", "viewer", "stranger", "removed")
LINK_PASSWORD = "tea"

KEPT = 2
GIVEN = 2  # whose members change
DOOMED = 3


@dataclass(frozen=True)
class World:
    """Tokens by role, and the ids of what there is. `signed_in` are further tokens of somebody
    else, for the calls that end a sign-in.
    """

    tokens: dict[str, str]
    signed_in: dict[str, str]
    users: list[str]
    kept: list[str]
    given: list[str]
    doomed: list[str]
    link_ids: list[str]
    secrets: list[str]


async def settle(http: httpx2.AsyncClient) -> World:
    """Make it, over REST."""
    people = {role: await _ok(http.post("/v1/auth/guest", json={"name": role})) for role in PEOPLE}
    users = {role: each["user"]["id"] for role, each in people.items()}
    tokens = {role: each["token"] for role, each in people.items()}
    account = {"username": "carol", "password": "an engine that weaves"}
    signed_in = {
        "/v1/auth/logout": await _ok(http.post("/v1/auth/guest", json={"name": "Guy"})),
        "/v1/me/password": await _ok(http.post("/v1/auth/register", json=account)),
    }
    owner = _Caller(http, tokens["owner"])
    kept = [await _document(owner, users) for _ in range(KEPT)]
    given = [await _document(owner, users) for _ in range(GIVEN)]
    doomed = [await _document(owner, users) for _ in range(DOOMED)]
    links = [await owner.link(it, password) for it in kept for password in (None, LINK_PASSWORD)]
    # By these a stranger comes to other documents, and stays one in those that are kept.
    entries = [await owner.link(it, password) for it in given for password in (None, LINK_PASSWORD)]
    return World(
        tokens={**tokens, "nobody": ""},
        signed_in={path: each["token"] for path, each in signed_in.items()},
        users=[*users.values(), "@carol"],
        kept=kept,
        given=given,
        doomed=doomed,
        link_ids=[each["id"] for each in links],
        secrets=[each["secret"] for each in entries],
    )


class _Caller:
    def __init__(self, http: httpx2.AsyncClient, token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    async def send(self, method: str, path: str, **body: Any) -> Any:
        headers = {**self._headers, **body.pop("headers", {})}
        return await _ok(self._http.request(method, path, json=body, headers=headers))

    async def link(self, document_id: str, password: str | None) -> Any:
        path = f"/v1/documents/{document_id}/links"
        return await self.send("POST", path, role="viewer", password=password)


async def _document(owner: _Caller, users: dict[str, str]) -> str:
    made = await owner.send("POST", "/v1/documents", title="Notes", text="Hello", anyone=None)
    it = f"/v1/documents/{made['id']}"
    edit = {"from": 5, "to": 5, "insert": ", world"}
    await owner.send("PATCH", f"{it}/text", headers={"If-Match": '"1"'}, edits=[edit])
    await owner.send("POST", f"{it}/versions", name="One")
    for role in ("editor", "commenter", "viewer", "removed"):
        given = "viewer" if role == "removed" else role
        await owner.send("PUT", f"{it}/members/{users[role]}", role=given)
    await owner.send("DELETE", f"{it}/members/{users['removed']}")
    return str(made["id"])


async def _ok(sent: Any) -> Any:
    answer = await sent
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None
