"""`POST /v1/auth/logout`."""

from fastapi import APIRouter

from collab.access.revocation import of_sign_in
from collab.api.deps import CurrentUser, Services
from collab.api.problems import documented
from collab.api.revoking import revoke
from collab.errors import NotReady, Unauthorized

router = APIRouter(prefix="/v1", tags=["auth"])


@router.post("/auth/logout", status_code=204, responses=documented(Unauthorized, NotReady))
async def sign_out(user: CurrentUser, services: Services) -> None:
    """End the sign-in: its tokens are worth nothing any more, and its sessions close with 4401, on
    every server within a second or so.
    """
    ended = of_sign_in(user, services.now_ms(), services.settings.token_ttl_s)
    await revoke(services, ended)
