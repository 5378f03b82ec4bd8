"""By which address a client is counted."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from collab.api.address import client_address
from collab.cli import server_config
from collab.settings import Settings


async def address(host: str | None, *forwarded: str, **settings: object) -> str:
    """Of a client that connects from `host`, as the server sees it."""
    found = []

    async def app(scope: object, _receive: object, _send: object) -> None:
        found.append(client_address(HTTPConnection(scope)))  # type: ignore[arg-type]

    config = server_config(app, Settings(**settings))  # type: ignore[arg-type]
    config.load()
    assert isinstance(config.loaded_app, ProxyHeadersMiddleware)
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    client = None if host is None else (host, 4711)
    scope = {"type": "http", "headers": headers, "client": client}
    await config.loaded_app(scope, None, None)  # type: ignore[arg-type]
    return found[0]


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a name", "nowhere"),
        (None, "nowhere"),
    ],
)
async def test_an_ipv6_address_counts_as_the_network_it_is_in(
    host: str | None, counted: str
) -> None:
    assert await address(host) == counted


async def test_a_proxy_on_the_same_machine_says_whom_it_passes_on() -> None:
    assert await address("127.0.0.1", "192.0.2.7") == "192.0.2.7"
    assert await address("127.0.0.1") == "127.0.0.1"


async def test_nobody_else_is_believed() -> None:
    assert await address("198.51.100.1", "192.0.2.7") == "198.51.100.1"


async def test_what_a_client_says_to_the_proxy_does_not_count() -> None:
    assert await address("127.0.0.1", "203.0.113.5, 192.0.2.7") == "192.0.2.7"
    assert await address("127.0.0.1", "203.0.113.5", "192.0.2.7") == "192.0.2.7"
    assert await address("127.0.0.1", "whatever it likes") == "nowhere"


async def test_the_proxies_are_those_that_the_settings_name() -> None:
    named = {"trusted_proxies": "10.0.0.0/8, 198.51.100.1"}
    assert await address("10.1.2.3", "192.0.2.7", **named) == "192.0.2.7"
    assert await address("198.51.100.1", "192.0.2.7, 10.9.9.9", **named) == "192.0.2.7"
    assert await address("127.0.0.1", "192.0.2.7", **named) == "127.0.0.1"


def test_several_values_of_a_variable_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLAB_ALLOWED_ORIGINS", "https://a.example, https://b.example,")
    monkeypatch.setenv("COLLAB_TRUSTED_PROXIES", "")
    settings = Settings()
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.trusted_proxies == ()
