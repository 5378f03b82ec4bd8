"""Where a Redis is, and how to reach it: what `COLLAB_REDIS_URL` says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from collab.errors import Misconfigured

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

FORMS = "redis://[user:password@]host[:port][/database], rediss://… or unix://[…@]/path"


@dataclass(frozen=True)
class Address:
    """`path` is that of a Unix socket, in place of host and port."""

    host: str
    port: int
    path: str | None
    database: int
    user: str
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None

    @staticmethod
    def of(url: str) -> Address:
        """`rediss://` is TLS; its options (`?ssl_ca_certs=…`) are those of redis-py.

        Raises `Misconfigured`, whose message holds nothing of the URL: it may hold a password.
        """
        try:
            given: dict[str, Any] = dict(parse_url(url))
            kind = given.pop("connection_class", None)
            tls = None
            if kind is SSLConnection:
                options = {name: given[name] for name in given if name.startswith("ssl_")}
                tls = SSLConnection(**options).ssl_context.get()
        except (ValueError, TypeError):
            raise Misconfigured(f"COLLAB_REDIS_URL must look like {FORMS}") from None
        except (OSError, RedisError) as error:  # a file that is not there, or no certificate
            raise Misconfigured(f"COLLAB_REDIS_URL: {error}") from None
        return Address(
            host=given.get("host", "localhost"),
            port=given.get("port", 6379),
            path=given.get("path"),
            database=given.get("db", 0),
            user=given.get("username", "default"),
            password=given.get("password"),
            tls=tls,
        )

    @property
    def name(self) -> str:
        """For people, without what is secret."""
        return self.path or f"{self.host}:{self.port}"

    def at(self, host: str, port: int) -> Address:
        """Another node of the same cluster."""
        return replace(self, host=host, port=port)

    async def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Raises `OSError`."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            await loop.create_unix_connection(protocol, self.path)
        else:
            await loop.create_connection(protocol, self.host, self.port, ssl=self.tls)
