"""A PostgreSQL server of its own, for benchmarks and for tests that stop it.

with private_server() as postgres:
    ...  # postgres.url()
    postgres.stop()
    postgres.start()  # on the same data

It listens on a Unix socket only, in a folder of its own, and trusts whoever can reach that.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60

# Much quicker. What is committed outlives the server's death, though not the machine's.
UNSAFE = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


class PostgresServer:
    """`settings` are PostgreSQL's."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder = folder
        self._log = folder / "log"
        options = {"listen_addresses": "", "unix_socket_directories": str(folder), **settings}
        self._running = False
        self._options = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--no-sync", "-U", "collab")

    def start(self) -> None:
        """Start it, if it does not run, and wait until it is ready."""
        if self._running:
            return
        self._run("pg_ctl", "start", "--wait", f"--options={self._options}", f"--log={self._log}")
        self._running = True

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it, if it runs, and wait for its end: `immediate` is as if it were killed."""
        if self._running:
            self._run("pg_ctl", "stop", "--wait", f"--mode={how}")
            self._running = False

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://collab@/{database}?host={self._folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Execute one or more statements."""
        self._run("psql", "--no-psqlrc", f"--command={statement}", self.url(database))

    def _run(self, program: str, *arguments: str) -> None:
        """Raises CalledProcessError with what it wrote."""
        subprocess.run(
            [_program(program), *arguments],
            env={**os.environ, "PGDATA": str(self._folder / "data")},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=TIMEOUT_S,
            **_not_root(),
        )


@contextmanager
def private_server(**settings: str) -> Iterator[PostgresServer]:
    """A server that is ready, and is gone in the end with all its data."""
    folder = Path(tempfile.mkdtemp(prefix="collab-postgres-"))
    try:
        if (user := _not_root()) != {}:
            os.chown(folder, user["user"], user["group"])
        server = PostgresServer(folder, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


DATABASE_HELP = "a URL, or `postgresql` for a server of its own; SQLite if it is not given"


@contextmanager
def database_url(chosen: str) -> Iterator[str]:
    """What `--database` stands for, as a server's setting."""
    if chosen != "postgresql":
        yield chosen
        return
    with private_server() as server:
        yield server.url()


def _program(name: str) -> str:
    """Debian keeps PostgreSQL's programs in a folder for each version."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[4]), default=None)
    found = str(newest) if newest is not None else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not there: install PostgreSQL")
    return found


def _not_root() -> dict[str, Any]:
    """PostgreSQL does not run as root: who runs it then, as `subprocess` takes it."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
