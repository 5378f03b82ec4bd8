"""How somebody who has no token yet may come by one: what a sign-in page offers."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from collab.api.deps import Services

router = APIRouter(prefix="/v1", tags=["auth"])


class SignInOptions(BaseModel):
    """Who has an account can always sign in to it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"guests": True, "registration": True}]}
    )

    guests: bool
    registration: bool


@router.get("/auth")
async def sign_in_options(services: Services) -> SignInOptions:
    """Whether there are guests here, and new accounts."""
    settings = services.settings
    return SignInOptions(guests=settings.guests_allowed, registration=settings.registration_allowed)
