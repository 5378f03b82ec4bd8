"""The command `collab`: `serve`, `migrate`.

Exit codes: 0 when it did what it should, or was asked to stop; 1 when a file or the database is not
as it must be; 2 when its settings or arguments are wrong; 3 when it cannot listen on its address.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, DisconnectionError
from uvicorn.server import HANDLED_SIGNALS

from collab import logs
from collab.api.app import create_app
from collab.api.connection import Connection
from collab.errors import Misconfigured
from collab.live.transport import FramedProtocol
from collab.settings import Settings
from collab.storage.database import database_at

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from fastapi import FastAPI


def main(arguments: Sequence[str] | None = None) -> int:
    options = vars(_parser().parse_args(arguments))
    run = options.pop("run")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C
    try:
        settings = _settings({name: given for name, given in options.items() if given is not None})
        logs.set_up(settings.log_level, sys.stderr)
        uvloop.run(run(settings))
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
        pass
    return 0


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
    serve.set_defaults(run=_serve)
    migrate = commands.add_parser("migrate", help="bring the database to this version, and end")
    migrate.set_defaults(run=_migrate)
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


async def _migrate(settings: Settings) -> None:
    database = database_at(settings.sqlalchemy_url)
    try:
        await database.start()  # nobody else uses it meanwhile
        await database.migrate()
    finally:
        await database.close()
    print(f"{database.name} is up to date")


async def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then end sessions, save what is ordered, and return.

    The lifespan is run here and not by uvicorn, so that what stops the server from starting is an
    exception of ours, and so that the process fails with its writer.
    """
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await _Server(server_config(app, settings)).serve()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application, whose lifespan the caller runs."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        lifespan="off",
        http=Connection,
        ws=FramedProtocol,
        ws_max_size=settings.max_message_bytes,
        ws_ping_interval=None,  # the protocol has beats of its own (U5)
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_s),
    )


class _Server(uvicorn.Server):
    """Tells where it listens, and takes a signal to stop as an order, not as a death."""

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


if __name__ == "__main__":
    sys.exit(main())
