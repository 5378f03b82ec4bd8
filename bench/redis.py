"""A Redis server of its own, for benchmarks and for tests that stop it.

with private_server(appendonly="yes") as redis:
    ...  # redis.url
    redis.stop()
    redis.start()  # with what it had written

It listens on a free port of the loopback address.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot
from redis.retry import Retry

from bench.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30
POLL_S = 0.01


class RedisServer:
    """`settings` are Redis's, with underscores: `requirepass`, `cluster_enabled="yes"`."""

    def __init__(self, folder: Path, settings: dict[str, str], *, tls: bool = False) -> None:
        self.port = free_port(10_000)  # a cluster's node takes that one, too
        self.password = settings.get("requirepass")
        self._folder = folder
        self._certificate = _certify(folder) if tls else None
        port = {"port": str(self.port)}
        if self._certificate is not None:
            certificate, key = str(self._certificate), str(self._certificate.with_name("key.pem"))
            port = {
                "port": "0",
                "tls_port": str(self.port),
                "tls_cert_file": certificate,
                "tls_ca_cert_file": certificate,
                "tls_key_file": key,
                "tls_auth_clients": "no",
            }
        self._settings = {"bind": "127.0.0.1", **port, "save": "", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        place = f"{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}"
        if self._certificate is not None:
            return f"rediss://{place}?ssl_ca_certs={self._certificate}"
        return f"redis://{place}"

    @property
    def append_only(self) -> Path:
        """The folder of its append-only file."""
        return self._folder / "appendonlydir"

    def start(self) -> None:
        """Start it, if it does not run, and wait until it has loaded what it had written."""
        if self._process is not None:
            return
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("redis-server is not there: install Redis 7")
        arguments: list[str] = []
        for name, value in self._settings.items():
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
            elif path.name != "log" and path.suffix != ".pem":
                path.unlink()

    def execute(self, *command: str | bytes | int) -> Any:
        """Execute a command. Raises redis-py's errors; nothing is sent twice."""
        with redis.Redis.from_url(
            self.url, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_S
        ) as client:
            return client.execute_command(*command)

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this life, of the user and of the system."""
        used = self.execute("INFO", "cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

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
def private_server(*, tls: bool = False, **settings: str) -> Iterator[RedisServer]:
    """A server that is ready, and is gone in the end with all its data."""
    folder = Path(tempfile.mkdtemp(prefix="collab-redis-"))
    try:
        server = RedisServer(folder, settings, tls=tls)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


class RedisCluster:
    """Primaries that share the slots evenly. Each may be stopped and started again."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes
        share = SLOTS // len(nodes)
        for number, node in enumerate(nodes):
            last = SLOTS - 1 if node is nodes[-1] else (number + 1) * share - 1
            node.execute("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            node.execute("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            nodes[0].execute("CLUSTER", "MEET", "127.0.0.1", node.port)
        self.wait()

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def wait(self) -> None:
        """Wait until all agree that all slots are served."""
        deadline = time.monotonic() + TIMEOUT_S
        while not all(self._is_whole(node) for node in self.nodes):
            if time.monotonic() > deadline:
                raise RuntimeError("the cluster does not come together")
            time.sleep(POLL_S)

    def owner(self, key: str) -> RedisServer:
        """The node that has the slot of a key."""
        slot = key_slot(key.encode())
        for first, last, (_, port, *_), *_ in self.nodes[0].execute("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(key)

    def move(self, key: str, target: RedisServer) -> None:
        """Give the slot of a key, with all that is in it, to another node."""
        source = self.owner(key)
        slot = key_slot(key.encode())
        ids = {node: node.execute("CLUSTER", "MYID").decode() for node in self.nodes}
        target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        while keys := source.execute("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.execute("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for node in (target, source, *self.nodes):
            node.execute("CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    def _is_whole(self, node: RedisServer) -> bool:
        return (
            b"cluster_state:ok" in node.execute("CLUSTER", "INFO")
            and len(node.execute("CLUSTER", "NODES").splitlines()) == len(self.nodes)
            and sum(last - first + 1 for first, last, *_ in node.execute("CLUSTER", "SLOTS"))
            == SLOTS
        )


@contextmanager
def private_cluster(nodes: int = 3, **settings: str) -> Iterator[RedisCluster]:
    """A cluster that is ready, and is gone in the end with all its data."""
    with ExitStack() as stack:
        options = {"cluster_enabled": "yes", "cluster_node_timeout": "2000", **settings}
        servers = (private_server(tls=False, **options) for _ in range(nodes))
        yield RedisCluster([stack.enter_context(server) for server in servers])


def _certify(folder: Path) -> Path:
    """A certificate for the loopback address, which vouches for itself; `key.pem` is beside it."""
    certificate = folder / "certificate.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    files = ("-keyout", folder / "key.pem", "-out", certificate)
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, *files],
        check=True,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )
    return certificate
