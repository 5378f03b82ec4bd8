"""The largest body that a request may have.

FastAPI has such a limit, but answers a body that is declared too long in plain text, whatever its
error handlers say; so this one stands in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: reading a body that is over `max_bytes`, or says it is, is a 413."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        declared_bytes = int(declared) if declared.isdecimal() else 0
        read_bytes = 0

        async def limited() -> Message:
            nonlocal read_bytes
            if declared_bytes > self._max_bytes:
                raise self._too_large()
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._max_bytes:
                raise self._too_large()
            return message

        await self._app(scope, limited, send)

    def _too_large(self) -> HTTPException:
        """Not a `Problem`: FastAPI lets through only this kind while it reads a body."""
        return HTTPException(413, f"a body has at most {self._max_bytes} bytes")
