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
    """ASGI middleware: reading a body that is over the limit, or says it is, is a 413.

    Whole texts come in bodies of `max_bytes`. Anything else is a message of `max_message_bytes`: it
    is parsed at once, on the event loop.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_message_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_message_bytes = min(max_bytes, max_message_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = self._max_bytes if _may_hold_a_text(scope) else self._max_message_bytes
        declared = Headers(scope=scope).get("content-length", "")
        declared_bytes = int(declared) if declared.isdecimal() else 0
        read_bytes = 0

        async def limited() -> Message:
            nonlocal read_bytes
            if declared_bytes > max_bytes:
                raise _too_large(max_bytes)
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self._app(scope, limited, send)


def _may_hold_a_text(scope: Scope) -> bool:
    """A document is made with one, and a text is put as a whole."""
    return scope["method"] == "PUT" or (scope["method"], scope["path"]) == ("POST", "/v1/documents")


def _too_large(max_bytes: int) -> HTTPException:
    """Not a `Problem`: FastAPI lets through only this kind while it reads a body."""
    return HTTPException(413, f"a body has at most {max_bytes} bytes")
