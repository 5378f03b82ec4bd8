"""Whether the server is alive, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from collab.api.deps import Services
from collab.api.problems import documented
from collab.errors import NotReady

router = APIRouter(tags=["health"])


_TABLES = text("SELECT version_num FROM alembic_version")


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def alive() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses=documented(NotReady))
async def ready(services: Services) -> Health:
    """The database answers, and its tables are there; with Redis, pushes can be ordered."""
    try:
        await services.database.look_up(lambda connection: connection.execute(_TABLES).one())
    except SQLAlchemyError as error:
        raise NotReady("the database does not answer") from error
    if not services.order.ready:
        raise NotReady("Redis does not answer")
    return Health()
