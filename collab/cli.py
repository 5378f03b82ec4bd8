"""The command `collab`: `serve`, `migrate`, `user`.

Exit codes: 0 when it did what it should, or was asked to stop; 1 when a file or the database is not
as it must be; 2 when its settings or arguments are wrong; 3 when it cannot listen on its address.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import getpass
import math
import signal
import socket
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
import uvloop
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, DisconnectionError
from uvicorn.server import HANDLED_SIGNALS

from collab import logs, operator
from collab.api.app import create_app
from collab.api.connection import Connection
from collab.api.door import Door
from collab.errors import Misconfigured
from collab.live.upgrade import FramedProtocol
from collab.open_files import connections_allowed
from collab.settings import Settings
from collab.storage.database import database_at
from collab.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from fastapi import FastAPI

log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C
    try:
        settings = _settings(
            {name: given for name, given in vars(options).items() if given is not None}
        )
        logs.set_up(settings.log_level, sys.stderr)
        code: int = uvloop.run(options.run(settings, options))
    except Misconfigured as error:
        print(f"collab: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"collab: {error}", file=sys.stderr)
        return 1
    except DBAPIError as error:
        print(f"collab: cannot use the database: {error.orig}", file=sys.stderr)
        return 1
    except DisconnectionError as error:
        print(f"collab: cannot use the database: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="collab",
        description="A backend for collaborative text editing.",
        epilog="Settings are environment variables COLLAB_…; the README lists them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the server until it is told to stop")
    serve.add_argument("--host", help="the address to listen on (COLLAB_HOST)")
    serve.add_argument("--port", type=int, help="the port; 0 takes a free one (COLLAB_PORT)")
    serve.add_argument("--workers", type=int, help="how many processes serve (COLLAB_WORKERS)")
    # For a supervisor's workers: the sockets to listen on, which they inherit.
    serve.add_argument("--listening", type=int, action="append", help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)
    migrate = commands.add_parser("migrate", help="bring the database to this version, and end")
    migrate.set_defaults(run=_migrate)
    user = commands.add_parser("user", help="what an operator does about somebody's account")
    of_user = user.add_subparsers(required=True, metavar="WHAT")
    password = of_user.add_parser(
        "password", help="set another password, read from standard input; ends all sign-ins"
    )
    password.add_argument("username")
    password.set_defaults(run=_set_password)
    return parser


def _settings(given: dict[str, Any]) -> Settings:
    """The environment's settings and those given. Raises `Misconfigured`, naming what is wrong."""
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = (
            f"COLLAB_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        )
        raise Misconfigured("; ".join(wrong)) from None


async def _migrate(settings: Settings, _options: argparse.Namespace) -> int:
    database = database_at(settings.sqlalchemy_url, shared=settings.redis_url is not None)
    try:
        await database.start()  # nobody uses it meanwhile, but servers that share it
        await database.migrate()
    finally:
        await database.close()
    print(f"{database.name} is up to date")
    return 0


def _set_password(settings: Settings, options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Asks before anything runs, so that whoever is asked can stop it."""
    return _set_password_to(settings, options.username, _asked_password())


async def _set_password_to(settings: Settings, username: str, password: str) -> int:
    await operator.set_password(settings, username, password)
    print(f"{username} has another password, and is signed out everywhere")
    return 0


def _asked_password() -> str:
    """Never an argument: those are for all to see. Raises `Misconfigured`."""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.readline().removesuffix("\n")
        except UnicodeDecodeError:
            raise Misconfigured("the password is not in this system's encoding") from None
    password = getpass.getpass("New password: ")
    if getpass.getpass("Once more: ") != password:
        raise Misconfigured("these are two passwords")
    return password


async def _serve(settings: Settings, options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; then end sessions, save what is ordered, and return."""
    if options.listening is not None:
        sockets = [socket.socket(fileno=each) for each in options.listening]
        await _serve_alone(settings, sockets)
    elif settings.workers > 1:
        return await _supervise(settings)
    else:
        await _serve_alone(settings)
    return 0


async def _serve_alone(settings: Settings, inherited: list[socket.socket] | None = None) -> None:
    """The lifespan is run here and not by uvicorn, so that what stops the server from starting is
    an exception of ours, and so that the process fails with its writer.
    """
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        server = _Server(server_config(app, settings))
        if inherited is not None:
            server.end_with_supervisor()
        spare_the_collector()
        await server.serve(inherited)


def spare_the_collector() -> None:
    """Let the garbage collector work seldom: everything stands still while it does.

    What is there now stays, and is not looked at any more. Nearly all else goes away without it.
    What does not takes little: about 100 bytes for each of the half million objects that it waits
    for before it looks at all there are, a tenth of a second
    for a thousand connections.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 5, 10)


WORKERS_END_S = 15.0
"""How long a worker may take to end, beside the times that the settings name."""


async def _supervise(settings: Settings) -> int:
    """Raises `Misconfigured` where several processes would not agree on one order."""
    if settings.redis_url is None:
        raise Misconfigured(
            "COLLAB_WORKERS is more than 1, and several processes need COLLAB_REDIS_URL"
            " to agree on one order"
        )
    with ExitStack() as stack:
        try:
            sockets = _bind(settings.host, settings.port, stack)
        except OSError as error:
            print(f"collab: {error}", file=sys.stderr)
            return 3
        command = [sys.executable, "-m", "collab.cli", "serve", "--host", settings.host]
        command += [f"--listening={each}" for each in sockets]
        patience_s = settings.shutdown_s + settings.commit_patience_s + WORKERS_END_S
        return await Supervisor(command, sockets, settings.workers, patience_s).run()


def _bind(host: str, port: int, stack: ExitStack) -> list[int]:
    """A socket for each address of the host, as one server has them, closed by the stack.

    None listens yet: the first worker does when it is ready.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets = []
    for family, *_, address in found:
        bound = stack.enter_context(socket.socket(family))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        sockets.append(bound.fileno())
    return sockets


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application, whose lifespan the caller runs."""
    door = Door(settings, connections_allowed(settings.max_connections))
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        lifespan="off",
        http=partial(Connection, door=door),  # type: ignore[arg-type]  # makes one
        ws=FramedProtocol,
        ws_max_size=settings.max_message_bytes,
        ws_ping_interval=None,  # the protocol has beats of its own (U5)
        ws_per_message_deflate=False,
        forwarded_allow_ips=list(settings.trusted_proxies),
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_s),
    )


REQUEST_COMES_S = 0.2
"""How long after its connection a request may be on its way to a worker that ends."""


class _Server(uvicorn.Server):
    """Tells where it listens, and takes a signal to stop as an order, not as a death."""

    def end_with_supervisor(self) -> None:
        """Standard input, which nobody writes to, closes when the supervisor is gone."""
        loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

        def end() -> None:
            loop.remove_reader(stdin)
            log.error("the supervisor is gone; its worker ends")
            self.should_exit = True

        loop.add_reader(stdin, end)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not listened on
            host = "localhost"
        print(f"Collab is at http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn raises the signal that ended it again when it is done: it is not to end us while
        # we save.
        for each in HANDLED_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        await super().serve(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if sockets:
            # Other workers take who comes now. Who has just come is answered: uvicorn would close
            # a connection whose request is still on its way.
            for server in self.servers:
                server.close()
            await asyncio.sleep(REQUEST_COMES_S)
        await super().shutdown(sockets)


if __name__ == "__main__":
    sys.exit(main())
