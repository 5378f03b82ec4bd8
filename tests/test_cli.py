"""The command, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import structlog
from websockets.exceptions import InvalidStatus

from collab.cli import main
from tests.peer import Peer

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.postgres import Postgres

PATIENCE_S = 60
SEVERAL = "COLLAB_WORKERS is more than 1, and"
ALONE = "several need Redis: set COLLAB_REDIS_URL for each of them"
URLS = "sqlite:///path or postgresql://user:password@host/database"


async def start(*arguments: str, **environment: str) -> Process:
    return await spawn(arguments, environment)


async def spawn(
    arguments: Sequence[str],
    environment: dict[str, str],
    *,
    stdin: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Process:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COLLAB_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "collab.cli"),
        *arguments,
        env={**inherited, **environment},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=pass_fds,
    )


async def ended(process: Process) -> tuple[int, str, str]:
    """The exit code, and what it wrote to standard output and error."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command that ends by itself, in this process. Gives what `ended` does."""
    root = logging.getLogger()
    handlers, level, on_sigterm = root.handlers, root.level, signal.getsignal(signal.SIGTERM)

    def run(arguments: str, **environment: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in {"COLLAB_DATA_DIR": str(tmp_path), **environment}.items():
                patch.setenv(name, value)
            return main(arguments.split()), *capfd.readouterr()

    yield run
    signal.signal(signal.SIGTERM, on_sigterm)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@asynccontextmanager
async def serving(data_dir: Path, **environment: str) -> AsyncIterator[tuple[Process, str]]:
    """A server that listens, and its address."""
    environment = {"COLLAB_DATA_DIR": str(data_dir), **environment}
    process = await start("serve", "--port", "0", **environment)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("Collab is at http://127.0.0.1:"), line or await ended(process)
        yield process, line.split()[-1].rstrip("/")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_is_told_to_stop_ends_well(tmp_path: Path, how: signal.Signals) -> None:
    async with serving(tmp_path) as (process, url):
        async with httpx2.AsyncClient(base_url=url) as http:
            answer = await http.get("/readyz")
            assert answer.json() == {"status": "ok"}
            assert "server" not in answer.headers
        process.send_signal(how)
        assert await ended(process) == (0, "", "")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


async def test_a_second_server_on_the_same_file_does_not_start(tmp_path: Path) -> None:
    async with serving(tmp_path):
        second = await start("serve", COLLAB_DATA_DIR=str(tmp_path), COLLAB_PORT="0")
        code, out, err = await ended(second)
    assert (code, out) == (2, "")
    assert err == f"collab: another server uses {tmp_path}/collab.db; {ALONE}\n"


async def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await start("serve", "--port", port, COLLAB_DATA_DIR=str(tmp_path))
        code, out, err = await ended(process)
    assert (code, out) == (3, "")
    assert "address already in use" in json.loads(err)["event"]


async def test_a_worker_serves_on_the_socket_it_inherits_and_ends_with_its_supervisor(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = await spawn(
            ["serve", f"--listening={listener.fileno()}", "--workers=2"],
            {"COLLAB_DATA_DIR": str(tmp_path)},
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE_S):
                assert (await process.stdout.readline()).decode() == f"Collab is at {url}/\n"
            async with httpx2.AsyncClient(base_url=url) as http:
                assert (await http.get("/readyz")).status_code == 200
            process.stdin.close()
            code, out, err = await ended(process)
        finally:
            if process.returncode is None:
                process.kill()
    assert (code, out) == (0, "")
    assert [json.loads(line)["event"] for line in err.splitlines()] == [
        "the supervisor is gone; its worker ends"
    ]


async def test_a_supervisor_names_the_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await start(
            *("serve", "--workers=2", "--port", str(taken.getsockname()[1])),
            COLLAB_DATA_DIR=str(tmp_path),
            COLLAB_REDIS_URL="redis://127.0.0.1",
            COLLAB_DATABASE_URL="postgresql://nobody@127.0.0.1/none",
        )
        code, out, err = await ended(process)
    assert (code, out) == (3, "")
    assert err.startswith("collab: ")
    assert "address already in use" in err.lower()


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (
            "serve",
            {"COLLAB_PORT": "many"},
            "COLLAB_PORT: Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            "serve --port 70000",
            {},
            "COLLAB_PORT: Input should be less than or equal to 65535",
        ),
        (
            "serve",
            {"COLLAB_LOG_LEVEL": "loud"},
            "COLLAB_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'",
        ),
        (
            "serve --workers 2",
            {},
            f"{SEVERAL} several processes need COLLAB_REDIS_URL to agree on one order",
        ),
        (
            "serve --workers 0",
            {},
            "COLLAB_WORKERS: Input should be greater than or equal to 1",
        ),
        (
            "serve --host 0.0.0.0",
            {},
            "COLLAB_SECRET must be set when COLLAB_HOST is not loopback",
        ),
        ("serve", {"COLLAB_SECRET": "short"}, "COLLAB_SECRET must be at least 32 bytes long"),
        (
            "migrate",
            {"COLLAB_DATABASE_URL": "mysql://x/y"},
            f"COLLAB_DATABASE_URL must be {URLS}",
        ),
        ("migrate", {"COLLAB_DATABASE_URL": "sqlite://"}, f"COLLAB_DATABASE_URL must be {URLS}"),
        (
            "migrate",
            {"COLLAB_DATABASE_URL": "postgresql://x:many/y"},
            "COLLAB_DATABASE_URL: invalid literal for int() with base 10: 'many'",
        ),
    ],
)
def test_what_is_wrong_with_the_settings_is_told(
    command: Command, arguments: str, environment: dict[str, str], message: str
) -> None:
    assert command(arguments, **environment) == (2, "", f"collab: {message}\n")


def test_a_data_directory_that_cannot_be_made_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = f"collab: [Errno 20] Not a directory: '{tmp_path}/file/data'\n"
    assert command("migrate", COLLAB_DATA_DIR=f"{tmp_path}/file/data") == (1, "", message)


def test_a_file_that_is_no_database_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "collab.db").write_text("no database, and longer than its header would be" * 10)
    message = "collab: cannot use the database: file is not a database\n"
    assert command("migrate") == (1, "", message)


def test_a_database_server_that_is_not_there_is_told(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, out, err = command(
        "migrate", COLLAB_DATABASE_URL=f"postgresql://u:secret@127.0.0.1:{port}/x"
    )
    assert (code, out) == (1, "")
    assert err.startswith("collab: cannot use the database: no connection to PostgreSQL: ")
    assert "secret" not in err


def test_migrate_makes_the_database_and_may_be_repeated(command: Command, tmp_path: Path) -> None:
    for _ in range(2):
        assert command("migrate") == (0, f"{tmp_path}/collab.db is up to date\n", "")


SECRETS = (
    *("a token", "a client", "a key", "a name", "a title", "a text", "a version"),
    *("a username", "a password", "another password", "a link's password"),
)


async def test_nothing_secret_reaches_the_log_at_any_level(tmp_path: Path) -> None:
    """H1, H2: no token, client ID or key, no name, title or text, whatever is done or refused."""
    secret = {each: secrets.token_urlsafe(16) for each in SECRETS}
    async with serving(tmp_path, COLLAB_LOG_LEVEL="debug") as (process, url):
        async with httpx2.AsyncClient(base_url=url) as http:
            body = {"name": secret["a name"]}
            token = (await http.post("/v1/auth/guest", json=body)).json()["token"]
            secret["a token"] = token
            http.headers["Authorization"] = f"Bearer {token}"
            document = await use_rest(http, secret)
            await use_links(http, document, secret)
            await use_sockets(int(url.rpartition(":")[2]), document, secret)
            await use_accounts(http, secret)
        process.send_signal(signal.SIGTERM)
        code, out, err = await ended(process)
    assert code == 0
    assert [what for what, value in secret.items() if value in out + err] == []


async def use_rest(http: httpx2.AsyncClient, secret: dict[str, str]) -> str:
    """Every kind of request, with and without success. Returns a document's id."""
    text, key = secret["a text"], {"Idempotency-Key": secret["a key"]}
    wrong = {"Authorization": f"Bearer {secret['a token']}x"}
    body = {"title": secret["a title"], "text": text}
    document: str = (await http.post("/v1/documents", json=body, headers=key)).json()["id"]
    it = f"/v1/documents/{document}"
    plain = {"Content-Type": "text/plain", "If-Match": '"1"'}
    edit = {"find": text, "replace": text * 2}
    for method, path, rest in (
        ("POST", "/v1/documents", {"json": {**body, text: text}, "headers": key}),
        ("POST", "/v1/documents", {"content": f'{{"title": "{text}'.encode()}),
        ("GET", f"/v1/documents?q={secret['a title']}", {}),
        ("GET", "/v1/me", {"headers": wrong}),
        ("GET", f"/v1/me?token={secret['a token']}", {}),
        ("POST", "/v1/auth/refresh", {}),
        ("PATCH", "/v1/me", {"json": {"name": f"{secret['a name']} again"}}),
        ("PATCH", it, {"json": {"title": f"{secret['a title']} again"}}),
        ("PUT", f"{it}/text", {"content": f"{text}\0", "headers": plain}),
        ("PUT", f"{it}/text", {"content": f"{text}\n{text}", "headers": {**plain, **key}}),
        ("PATCH", f"{it}/text", {"json": edit}),
        ("PATCH", f"{it}/text", {"json": {**edit, "edits": text}}),
        ("POST", f"{it}/versions", {"json": {"name": secret["a version"]}}),
        ("GET", f"{it}/text", {}),
        ("GET", f"{it}/updates", {}),
        ("GET", f"{it}/blame", {}),
        ("GET", f"{it}/diff?from=0", {}),
        ("GET", f"/{text}?{text}", {}),
    ):
        await http.request(method, path, **rest)
    return document


async def use_links(http: httpx2.AsyncClient, document: str, secret: dict[str, str]) -> None:
    it = f"/v1/documents/{document}"
    body = {"role": "viewer", "password": secret["a link's password"]}
    made = await http.post(f"{it}/links", json=body)
    secret["a link"] = made.raise_for_status().json()["secret"]
    used = {"secret": secret["a link"], "password": secret["a link's password"]}
    wrong = {**used, "password": secret["a text"]}
    for body in (used, wrong, {"secret": secret["a link"]}, {secret["a link"]: ""}):
        await http.post("/v1/links", json=body)
    await http.get(f"/?link={secret['a link']}")
    await http.put(f"{it}/members/@{secret['a username']}", json={"role": "viewer"})
    await http.get(f"{it}/audit")


async def use_accounts(http: httpx2.AsyncClient, secret: dict[str, str]) -> None:
    named = {"username": secret["a username"], "password": secret["a password"]}
    changed = {"current": named["password"], "new": secret["another password"]}
    for path, body, status in (
        ("/v1/auth/register", named, 200),
        ("/v1/auth/register", named, 409),
        ("/v1/auth/login", named, 200),
        ("/v1/auth/login", {**named, "password": secret["a text"]}, 401),
        ("/v1/auth/login", {**named, named["password"]: 1}, 422),
        ("/v1/me/password", changed, 200),
    ):
        answer = await http.post(path, json=body)
        assert (path, answer.status_code) == (path, status)
        if status == 200:
            token = answer.json()["token"]
            secret[f"the token of {path}"] = token
            http.headers["Authorization"] = f"Bearer {token}"
    (await http.post("/v1/auth/logout")).raise_for_status()


async def use_sockets(port: int, document: str, secret: dict[str, str]) -> None:
    """Sessions that push, are refused, fail, and handshakes that do."""
    token, client, text = secret["a token"], secret["a client"], secret["a text"]
    headers = {"Authorization": f"Bearer {token}"}
    peer = await Peer.join(port, document, "", client=client, headers=headers)
    length = len(peer.welcome["text"])
    for change in ([length, [0, text]], [7, [0, text]]):
        await peer.push(change)
        await peer.hear("updates", "refused")
    await peer.send({"type": "token", "token": token})
    await peer.send({"type": "token", "token": f"{token}x"})
    assert await peer.closed() == 4401
    for nonsense in (text, {"type": text}, {"type": "push", "updates": text}):
        peer = await Peer.join(port, document, token, client=client)
        await peer.send(nonsense)
        assert await peer.closed() == 4400
    for wrong in ({"revision": text}, {"document_id": text}, {"token": f"{token}x"}):
        asked: dict[str, Any] = {"document_id": document, "token": token, "client": client}
        with pytest.raises(InvalidStatus):
            await Peer.join(port, **{**asked, **wrong})


async def test_a_second_server_on_the_same_postgresql_database_does_not_start(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with (
        postgres.database() as url,
        serving(tmp_path, COLLAB_DATABASE_URL=url) as (process, address),
    ):
        second = await start("serve", COLLAB_DATABASE_URL=url, COLLAB_DATA_DIR=str(tmp_path))
        code, out, err = await ended(second)
        assert (code, out) == (2, "")
        refusal = f"another server uses this database; {ALONE}"
        assert err.splitlines()[-1] == f"collab: {refusal}"
        async with httpx2.AsyncClient(base_url=address) as http:
            assert (await http.get("/readyz")).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == (0, "", "")


async def test_migrate_makes_the_tables_of_a_postgresql_database(postgres: Postgres) -> None:
    async with postgres.without_tables() as url:
        for _ in range(2):
            code, out, err = await ended(await start("migrate", COLLAB_DATABASE_URL=url))
            assert (code, err) == (0, "")
            assert out.startswith("postgresql:///")
            assert out.endswith(" is up to date\n")
