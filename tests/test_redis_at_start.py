"""A server that finds no Redis it can use does not start, and says why in one line."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bench.redis import private_server
from collab.log.redis import address, topology
from tests.test_cli import PATIENCE_S, Command, command

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["command"]

SECRET = "swordfish"
VERSION_6 = b"%1\r\n+version\r\n+6.2.14\r\n+OK\r\n+run_id:1\r\n*0\r\n"
VERSION_5 = b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n" * 4


@contextmanager
def answering(answers: bytes) -> Iterator[str]:
    """The URL of what answers whatever comes with the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65_536)
                client.sendall(answers)
                client.recv(65_536)  # nothing comes: it is closed

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield f"redis://:{SECRET}@127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.join()


def test_a_url_that_is_none_is_told_without_what_is_in_it(command: Command) -> None:
    message = f"collab: COLLAB_REDIS_URL must look like {address.FORMS}\n"
    for url in (f"http://:{SECRET}@127.0.0.1", f"redis://:{SECRET}@127.0.0.1:many", SECRET):
        assert command("serve --port 0", COLLAB_REDIS_URL=url) == (2, "", message)


@pytest.mark.parametrize(
    ("answers", "version"),
    [(VERSION_6, "6.2.14"), (VERSION_5, "of a version before 6")],
    ids=["6", "5"],
)
def test_a_redis_that_is_too_old_is_told(command: Command, answers: bytes, version: str) -> None:
    with answering(answers) as url:
        place = url.rpartition("@")[2]
        message = f"collab: the Redis at {place} is {version}; 7.0 or later is needed\n"
        assert command("serve --port 0", COLLAB_REDIS_URL=url) == (2, "", message)


def test_a_redis_that_takes_another_password_is_told(command: Command) -> None:
    with private_server(requirepass="another") as redis:
        url = redis.url.replace("another", SECRET)
        code, out, err = command("serve --port 0", COLLAB_REDIS_URL=url)
    assert (code, out) == (2, "")
    assert err.startswith(f"collab: the Redis at 127.0.0.1:{redis.port} refuses this server: ")
    assert err.count("\n") == 1
    assert SECRET not in err


def test_a_redis_that_is_not_there_is_told_after_a_while(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may start at the same time as the server."""
    monkeypatch.setattr(topology, "START_PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    code, out, err = command("serve --port 0", COLLAB_REDIS_URL=f"redis://:{SECRET}@{place}")
    assert (code, out) == (2, "")
    assert err.startswith(f"collab: no Redis at {place}: ")
    assert err.count("\n") == 1
    assert SECRET not in err
