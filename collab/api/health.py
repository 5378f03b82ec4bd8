"""Whether the server is alive, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from collab.api.deps import Services
from collab.api.problems import documented
from collab.errors import NotReady

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def alive() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses=documented(NotReady))
async def ready(services: Services) -> Health:
    """The database answers, and its tables are there."""
    try:
        async with services.database.read() as connection:
            await connection.execute(text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError as error:
        raise NotReady("the database does not answer") from error
    return Health()
