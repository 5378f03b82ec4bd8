"""What the tests of the REST API say it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2
    from fastapi import FastAPI

    from collab.api.services import Services

NOW_S = 1_800_000_000  # 2027-01-15T08:00:00Z


class Clock:
    def __init__(self) -> None:
        self.now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Api:
    """The running application. `user` signs somebody in, who then makes calls."""

    def __init__(self, http: httpx2.AsyncClient, app: FastAPI, clock: Clock) -> None:
        self.http = http
        self.app = app
        self.clock = clock

    @property
    def services(self) -> Services:
        running: Services = self.app.state.services
        return running

    async def user(self, name: str = "Ada") -> User:
        answer = await self.http.post("/v1/auth/guest", json={"name": name})
        assert answer.status_code == 200, answer.text
        return User(self.http, **answer.json())


class User:
    """Somebody with a token."""

    def __init__(
        self, http: httpx2.AsyncClient, token: str, user: dict[str, Any], expires_at: str
    ) -> None:
        self._http = http
        self.token = token
        self.id = user["id"]
        self.name = user["name"]
        self.expires_at = expires_at

    async def call(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", **rest.pop("headers", {})}
        return await self._http.request(method, path, headers=headers, **rest)

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        return await self.call("GET", path, params=params)

    async def post(self, path: str, json: Any = None) -> httpx2.Response:
        return await self.call("POST", path, json=json)

    async def document(self, title: str = "Notes", **rest: Any) -> Any:
        answer = await self.post("/v1/documents", {"title": title, **rest})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def put(
        self, document_id: str, text: str | bytes, base: str | int | None = None, **headers: str
    ) -> httpx2.Response:
        """PUT a whole text; `base` is a revision or an If-Match."""
        kind = {"Content-Type": "text/plain; charset=utf-8"}
        path = f"/v1/documents/{document_id}/text"
        content = text.encode() if isinstance(text, str) else text
        sent = {**kind, **if_match(base), **named(headers)}
        return await self.call("PUT", path, content=content, headers=sent)

    async def patch(
        self, document_id: str, body: Any, base: str | int | None = None, **headers: str
    ) -> httpx2.Response:
        """PATCH a text."""
        path = f"/v1/documents/{document_id}/text"
        return await self.call(
            "PATCH", path, json=body, headers={**if_match(base), **named(headers)}
        )

    async def text(self, document_id: str, **params: Any) -> str:
        answer = await self.get(f"/v1/documents/{document_id}/text", **params)
        assert answer.status_code == 200, answer.text
        return answer.text


def if_match(base: str | int | None) -> dict[str, str]:
    if base is None:
        return {}
    return {"If-Match": f'"{base}"' if isinstance(base, int) else base}


def named(headers: dict[str, str]) -> dict[str, str]:
    """Headers by the names that Python lets parameters have."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def assert_problem(
    answer: httpx2.Response, status: int, code: str, title: str, detail: str, **more: Any
) -> None:
    """The answer is exactly this problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    expected = {
        "type": f"urn:collab:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    assert answer.json() == expected
    assert answer.status_code == status
