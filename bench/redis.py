"""A Redis server of its own, for benchmarks and for tests that stop it.

with private_server(appendonly="yes") as redis:
    ...  # redis.url
    redis.stop()
    redis.start()  # with what it had written

It listens on a free port of the loopback address.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30
POLL_S = 0.01

PORTS = range(20_000, 32_000)
"""Below those that the system gives to who asks for any. A cluster takes one 10,000 above too."""


class RedisServer:
    """`settings` are Redis's, with underscores: `requirepass`, `cluster_enabled="yes"`."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.port = _free_port()
        self.password = settings.get("requirepass")
        self._folder = folder
        self._settings = {"save": "", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, if it does not run, and wait until it has loaded what it had written."""
        if self._process is not None:
            return
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("redis-server is not there: install Redis 7")
        options = {"bind": "127.0.0.1", "port": str(self.port), **self._settings}
        arguments: list[str] = []
        for name, value in options.items():
            arguments += [f"--{name.replace('_', '-')}", value]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *arguments], cwd=self._folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Redis does not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it as an operator would, if it runs: with an append-only file, all is written."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would, if it runs."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it do nothing from now on; its connections stay."""
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, if it was paused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget, while it is stopped, all that it had written."""
        assert self._process is None, "it runs"
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "log":
                path.unlink()

    def execute(self, *command: str | int) -> Any:
        """Execute a command. Raises redis-py's errors; nothing is sent twice."""
        with redis.Redis.from_url(
            self.url, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_S
        ) as client:
            return client.execute_command(*command)

    def _is_ready(self) -> bool:
        try:
            return bool(self.execute("PING"))
        except (redis.ConnectionError, redis.TimeoutError):  # BusyLoadingError is one, too
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # if it was paused
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@contextmanager
def private_server(**settings: str) -> Iterator[RedisServer]:
    """A server that is ready, and is gone in the end with all its data."""
    folder = Path(tempfile.mkdtemp(prefix="collab-redis-"))
    try:
        server = RedisServer(folder, settings)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
