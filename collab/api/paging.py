"""What is asked of a list that has one order: how much of it, and from where on."""

from pydantic import BaseModel, ConfigDict, Field


class PlainPageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = None
