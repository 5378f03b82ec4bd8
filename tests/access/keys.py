"""A host application for tests: it has keys, publishes them over HTTP, and signs."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER, AUDIENCE = "https://host.example", "collab-of-host"
ALGORITHMS = ("RS256", "ES256", "EdDSA")


def private_key(algorithm: str, number: int = 0) -> Any:
    """One of this host's, made once: RSA's take a while."""
    return _private_key(algorithm, number)


@cache
def _private_key(algorithm: str, number: int) -> Any:
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def jwk(algorithm: str, kid: str, number: int = 0, **members: Any) -> dict[str, Any]:
    """The public part, as it is published."""
    public = private_key(algorithm, number).public_key()
    kinds = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    made: dict[str, Any] = kinds[algorithm].to_jwk(public, as_dict=True)  # type: ignore[attr-defined]
    made.pop("key_ops", None)
    return {**made, "kid": kid, **members}


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada@host", "name": "Ada", "iat": now}
    return {**said, "exp": now + 600, **more}


def signed(algorithm: str, kid: str | None, number: int = 0, **more: Any) -> str:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(**more), private_key(algorithm, number), algorithm, headers)


class Host:
    """What it publishes, and how often it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/jwks.json"
        self.keys: list[Any] = [jwk(each, each) for each in ALGORITHMS]
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.asked = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def answer(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode() if self.body is None else self.body


@contextmanager
def host() -> Iterator[Host]:
    """One that listens on a loopback port, in threads of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            made.go_on.wait(30)
            body = made.answer()
            self.send_response(made.status)
            for name, value in {"Content-Length": str(len(body)), **made.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                return  # it was too long for them

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Host(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="host")
        thread.start()
        try:
            yield made
        finally:
            made.go_on.set()
            server.shutdown()
            thread.join()
