"""Answers that are worth it go out compressed.

An answer with an `ETag` does not: its tag names a revision, and one strong tag must not name two
different runs of bytes (RFC 9110, 8.8.3.3). Neither does a stream, whose reader waits for each part
of it.
"""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1_000
"""Below this, an answer is one packet either way."""

MAX_INLINE_BYTES = 64 * 1024
"""Above this, compressing would hold the event loop up for more than a millisecond."""

LEVEL = 6

_COMPRESSIBLE = {"application/json", "application/problem+json", "application/javascript"}


class Compression:
    """ASGI middleware: gzip for whole answers of `MIN_BYTES` and more, to whom accepts it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted = accepts_gzip(Headers(scope=scope))
        waiting: Message | None = None

        async def answer(message: Message) -> None:
            nonlocal waiting
            if message["type"] == "http.response.start" and _may_compress(message):
                waiting = message  # its headers depend on the body
                return
            if waiting is not None:
                start, waiting = waiting, None
                await _compress(start, message, accepted=accepted)
                await send(start)
            await send(message)

        await self._app(scope, receive, answer)


def accepts_gzip(headers: Headers) -> bool:
    """Whether `Accept-Encoding` allows gzip: it names it, or all, with another weight than 0."""
    weights = {}
    for each in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.replace(" ", "").partition(";q=")
        weights[coding] = weight.rstrip("0.") != "" or weight == ""
    return weights.get("gzip", weights.get("*", False))


def is_compressible(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return False
    return kind.startswith("text/") or kind.endswith(("+json", "+xml")) or kind in _COMPRESSIBLE


def _may_compress(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    if "etag" in headers or "content-encoding" in headers:
        return False
    return is_compressible(headers.get("content-type", ""))


async def _compress(start: Message, whole: Message, *, accepted: bool) -> None:
    """Change both messages of an answer, if it is a whole one that is worth it."""
    body = whole.get("body", b"")
    if whole.get("more_body") or len(body) < MIN_BYTES:
        return
    headers = MutableHeaders(raw=start["headers"])
    headers.add_vary_header("Accept-Encoding")
    if not accepted:
        return
    if len(body) > MAX_INLINE_BYTES:
        body = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
    else:
        body = gzip.compress(body, LEVEL, mtime=0)
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    whole["body"] = body
