"""The application: every route, and the services that they share while it runs."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

import collab
from collab.api import (
    audit,
    auth,
    browsers,
    compare,
    documents,
    events,
    health,
    links,
    me,
    members,
    metrics,
    problems,
    sign_in_options,
    sign_out,
    static,
    text,
    tickets,
    updates,
    versions,
)
from collab.api.body_limit import BodyLimit
from collab.api.compression import Compression
from collab.api.services import running
from collab.live import endpoint as live
from collab.settings import Settings


def create_app(settings: Settings, clock: Callable[[], float] = time.time) -> FastAPI:
    """`clock` gives seconds since 1970. Nothing is opened or started before the lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings, clock) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Collab",
        version=version("collab"),
        description=collab.__doc__ or "",
        lifespan=lifespan,
        routes=[live.route],  # first: where many come back at once, it is asked for most
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(BodyLimit, limits=settings)
    app.add_middleware(Compression)
    browsers.install(app, settings)
    problems.install(app)
    for part in (
        health,
        sign_in_options,
        auth,
        me,
        sign_out,
        documents,
        tickets,
        text,
        events,
        updates,
        versions,
        compare,
        members,
        links,
        audit,
    ):
        _add(app, part.router)
    _add(app, links.coming)
    if settings.metrics:
        _add(app, metrics.router)
    _add(app, static.pages(static.built()))
    return app


def _add(app: FastAPI, router: APIRouter) -> None:
    """Add the routes as they were made, once in a process. `include_router` would make them all
    anew while an application's first request waits, with what is added to them here: nothing.
    """
    app.router.routes.extend(router.routes)
