"""The largest body that a request may have.

FastAPI has such a limit, but answers a body that is declared too long in plain text, whatever its
error handlers say; so this one stands in its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from collab.settings import Limits

_A_TEXT = re.compile(r"/v1/documents/[^/]+/text")


class BodyLimit:
    """ASGI middleware: reading a body that is over the limit, or says it is, is a 413.

    Whole texts come in bodies of `max_body_bytes`. An edit is a message of `max_message_bytes`: it
    is parsed at once, on the event loop. Anything else is a few names: `max_form_bytes`.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._text = limits.max_body_bytes
        self._edit = min(self._text, limits.max_message_bytes)
        self._form = min(self._edit, limits.max_form_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = self._most(scope["method"], scope["path"])
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

    def _most(self, method: str, path: str) -> int:
        """A document is made with a text, and a text is put as a whole."""
        if (method, path) == ("POST", "/v1/documents"):
            return self._text
        if _A_TEXT.fullmatch(path):
            return self._text if method == "PUT" else self._edit
        return self._form


def _too_large(max_bytes: int) -> HTTPException:
    """Not a `Problem`: FastAPI lets through only this kind while it reads a body."""
    return HTTPException(413, f"a body has at most {max_bytes} bytes")
