"""What browsers are told beside an answer of the API, and which pages may call it (H3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from collab.settings import Settings

HEADERS = {
    # A text is what people typed: it is never taken for a page, wherever it is shown.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}

KEPT_AND_ASKED_FOR_AGAIN = "private, no-cache"
"""For what has an `ETag`. Nothing else is kept: some answers hold tokens, all are somebody's."""

PREFLIGHT_KEPT_S = 600


def install(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(ApiHeaders)
    if settings.allowed_origins:
        # No cookies, nor anything else that a browser adds by itself: the token is all there is.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "Idempotency-Key"),
                *("If-Match", "If-None-Match", "Last-Event-ID"),
            ],
            expose_headers=["ETag", "Location", "Retry-After"],
            max_age=PREFLIGHT_KEPT_S,
        )


class ApiHeaders:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                caching = KEPT_AND_ASKED_FOR_AGAIN if "etag" in headers else "no-store"
                headers.setdefault("Cache-Control", caching)
            await send(message)

        await self._app(scope, receive, answer)
