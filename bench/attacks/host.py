"""A host application whose tokens the attacked server takes: one RSA key, published by HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ISSUER, AUDIENCE, KID = "https://host.example", "collab-at-host", "key-1"


class Host:
    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.jwk: dict[str, Any] = {
            **jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True),
            "kid": KID,
            "use": "sig",
            "alg": "RS256",
        }
        self.url = ""

    @property
    def pem(self) -> bytes:
        """The public key, as everybody may have it."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def settings(self) -> dict[str, str]:
        return {
            "COLLAB_JWKS_URL": self.url,
            "COLLAB_JWT_ISSUER": ISSUER,
            "COLLAB_JWT_AUDIENCE": AUDIENCE,
        }

    def claims(self, **changed: Any) -> dict[str, Any]:
        """None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "mallory",
            "name": "Mallory",
            "iat": now,
            "exp": now + 3_600,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changed: Any) -> str:
        return jwt.encode(self.claims(**changed), self.key, "RS256", headers={"kid": KID})


@asynccontextmanager
async def publishing() -> AsyncIterator[Host]:
    """A host whose keys can be fetched."""
    host = Host()
    keys = json.dumps({"keys": [host.jwk]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(keys)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(head + keys)
                await writer.drain()
        except (OSError, EOFError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield host
