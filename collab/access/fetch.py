"""Fetching one small document by HTTP, in bounded time and memory."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from collab.errors import Misconfigured

if TYPE_CHECKING:
    import socket

TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024
CHUNK_BYTES = 16 * 1024


class Fetcher:
    """Gets what is at one URL. Follows no redirects, and asks no proxy."""

    def __init__(self, url: str) -> None:
        """Raises `Misconfigured` for a URL that anybody on the way could answer."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Misconfigured("COLLAB_JWKS_URL is not a URL") from None
        self._host = parts.hostname or ""
        secure = parts.scheme == "https"
        if not self._host or not (secure or (parts.scheme == "http" and _loopback(self._host))):
            raise Misconfigured("COLLAB_JWKS_URL must be https, or http on the loopback address")
        if parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
            raise Misconfigured("COLLAB_JWKS_URL must be ASCII without spaces, and name nobody")
        self._port = port or (443 if secure else 80)
        self._tls = ssl.create_default_context() if secure else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._request = (
            f"GET {path} HTTP/1.1\r\n"
            f"Host: {parts.netloc}\r\n"
            "Accept: application/json\r\n"
            "Accept-Encoding: identity\r\n"
            "User-Agent: collab\r\n"
            "Connection: close\r\n\r\n"
        ).encode()

    async def get(self) -> bytes:
        """Raises `OSError` for every other answer than a whole one with 200, in time."""
        received = bytearray()
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
            try:
                writer.write(self._request)
                while data := await reader.read(CHUNK_BYTES):
                    received += data
                    if len(received) > MAX_BYTES:
                        raise OSError("the answer is too long")
            finally:
                writer.transport.abort()
        return _body(bytes(received))


class _Received:
    """An answer that is all there, for `HTTPResponse`, which reads from a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def _body(answer: bytes) -> bytes:
    response = HTTPResponse(cast("socket.socket", _Received(answer)), method="GET")
    try:
        response.begin()
        if response.status != 200:
            raise OSError(f"the answer is {response.status}")
        return response.read()
    except (HTTPException, ValueError) as error:
        raise OSError("the answer is not HTTP") from error


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
