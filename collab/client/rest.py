"""The few REST calls that a program needs before it opens a document, and to look at one after.

Each is one request on a connection of its own, in a thread. All raise a Problem for an answer that
is an error, OSError where there is no answer.
"""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from collab.client.errors import problem

TIMEOUT_S = 30.0
"""For each wait on the network: to connect, to send, to receive."""


async def guest_token(base_url: str, name: str) -> str:
    """A token for a guest of this name, where the server takes guests."""
    answer = await _call(base_url, "POST", "/v1/auth/guest", body={"name": name})
    return str(msgspec.json.decode(answer)["token"])


async def create_document(base_url: str, token: str, title: str, text: str = "") -> str:
    """The id of a new document that begins with `text`."""
    body = {"title": title, "text": text} if text else {"title": title}
    answer = await _call(base_url, "POST", "/v1/documents", token, body)
    return str(msgspec.json.decode(answer)["id"])


async def read_text(base_url: str, token: str, document_id: str) -> str:
    """The text of a document as it is now."""
    path = f"/v1/documents/{quote(document_id, safe='')}/text"
    return (await _call(base_url, "GET", path, token)).decode()


async def _call(
    base_url: str, method: str, path: str, token: str | None = None, body: Any = None
) -> bytes:
    return await asyncio.to_thread(_call_now, base_url, method, path, token, body)


def _call_now(base_url: str, method: str, path: str, token: str | None, body: Any) -> bytes:
    base = urlsplit(base_url)
    kind = HTTPSConnection if base.scheme == "https" else HTTPConnection
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = msgspec.json.encode(body)
    connection = kind(base.netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, base.path.rstrip("/") + path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
    except HTTPException as error:
        raise ConnectionError(f"no answer from {base.netloc}: {error!r}") from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise problem(answer.status, content, answer.getheader("Retry-After"))
    return content
