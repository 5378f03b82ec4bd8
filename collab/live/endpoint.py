"""`GET /v1/documents/{id}/live`: from the handshake to the end of the session."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from collab.api.address import client_address
from collab.api.problems import problem_response
from collab.errors import NotReady, Problem, Unauthorized, Unavailable
from collab.live import handshake
from collab.live.asgi import AsgiTransport, sending, serve
from collab.live.conversation import Conversation, Stay
from collab.live.session import Session
from collab.live.transport import offered
from collab.live.welcomes import LONG_UNITS
from collab.log.entry import public_name
from collab.rooms.standings import Seen
from collab.storage import newcomers, tickets
from collab.storage.access import Caller
from collab.storage.newcomers import Known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collab.access.tokens import Identity
    from collab.api.services import Services
    from collab.live.handshake import Handshake, Place
    from collab.live.transport import Serving
    from collab.rooms.open_room import OpenRoom
    from collab.rooms.snapshot import Snapshot

log = structlog.get_logger(__name__)

T = TypeVar("T", "Place", "Snapshot")


class Look(NamedTuple):
    """What the database knew of a newcomer when this room was open, None if none was, and when what
    makes this revision was saved, at least.
    """

    room: OpenRoom | None
    saved_revision: int
    known: Known


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A client at the door. `client` is its public name; `arrival` is when it came."""

    arrival: int
    asked: Handshake
    client: str
    identity: Identity
    look: Look


async def live(websocket: WebSocket) -> None:
    services: Services = websocket.app.state.services
    document_id: str = websocket.path_params["document_id"]
    arrival = services.registry.clock.now()
    try:
        services.arrivals.check(client_address(websocket), time.monotonic())
        # A problem or a database that fails comes before the connection is accepted, never after.
        newcomer = await _check(websocket, document_id, services, arrival)
        with ExitStack() as until_served:
            stay = Stay(services.registry, newcomer.identity.user_id, document_id)
            until_served.callback(stay.end)
            room = await stay.enter(newcomer.client, arrival)
            await _serve(websocket, services, room, newcomer, stay)
            until_served.pop_all()  # it ends with the connection, which may outlast this
    except Problem as problem:
        await _refuse(websocket, services, problem)
    except SQLAlchemyError as error:
        log.warning("handshake failed", error=type(error).__name__)
        unready = NotReady("the database does not answer", retry_after_ms=1_000)
        await _refuse(websocket, services, unready)
    except WebSocketDisconnect:
        return


async def _refuse(websocket: WebSocket, services: Services, problem: Problem) -> None:
    services.counts.handshakes[problem.status] += 1
    await websocket.send_denial_response(problem_response(problem))


async def _check(
    websocket: WebSocket, document_id: str, services: Services, arrival: int
) -> Newcomer:
    """Who comes, and what they may do (H2, H3). Raises `Problem`."""
    handshake.check_origin(websocket.headers, services.settings.allowed_origins)
    asked = handshake.parse(websocket.query_params, websocket.headers)
    identity = await _identify(services, asked.token, document_id)
    room = services.registry.peek(document_id)
    look = await _look(services, document_id, room, identity, asked)
    return Newcomer(arrival, asked, public_name(asked.client_id), identity, look)


async def _look(
    services: Services,
    document_id: str,
    room: OpenRoom | None,
    identity: Identity,
    asked: Handshake,
) -> Look:
    """Raises `NotFound` for whoever has no standing."""
    saved_revision = 0 if room is None else room.saved_revision
    caller, client = Caller(identity.user, identity.roles), public_name(asked.client_id)
    try:
        known = await newcomers.known(
            services.database, document_id, caller, client, services.now_ms()
        )
    except SQLAlchemyError:
        seen = None if room is None else _recalled(room, identity, asked.resume)
        if seen is None:
            raise
        return Look(room, 0, Known(seen.standing, seen.version, -1))
    return Look(room, saved_revision, known)


def _recalled(room: OpenRoom, identity: Identity, resume: Place | None) -> Seen | None:
    """What the room was told last of somebody who comes back to it: while the database does not
    answer, that holds, as it does for those who are here. All that the client has sent and has no
    answer to comes after its place, and so is kept too.
    """
    return None if _resumed(room, resume) is None else room.standings.recall(identity)


async def _identify(services: Services, token: str, document_id: str) -> Identity:
    """Whose a token or a ticket is (H1). Raises `Problem`."""
    if not tickets.is_ticket(token):
        return await services.tokens.verify(token)
    now = services.now_ms()
    await services.database.look_up(
        lambda connection: tickets.check(connection, token, document_id, now)
    )
    identity = await services.database.write(
        lambda connection: tickets.use(connection, token, document_id, now)
    )
    over = services.tokens.over(identity)
    if over is not None:
        raise Unauthorized(over)
    return identity


async def _serve(
    websocket: WebSocket, services: Services, room: OpenRoom, newcomer: Newcomer, stay: Stay
) -> None:
    """Settle, accept, and begin the session. It goes on without the application where the server
    can serve it, and else ends in here.
    """
    resume = newcomer.asked.resume
    # Before settling, which is for the moment of the welcome.
    units = 0 if _resumed(room, resume) else len(room.visible_text)
    async with services.welcomes.turn(units) as turn:
        waited = units > LONG_UNITS or newcomer.look.room is not room
        seen, last_seq, took_effect = await _settle(services, room, newcomer, waited=waited)
        role = seen.standing.role
        assert role is not None, "who has none is not let in"
        await websocket.accept()
        services.counts.handshakes[101] += 1
        async with _transport(websocket) as transport:
            start: Place | Snapshot | None = _resumed(room, resume)
            while start is None:
                snapshot = await room.snapshots.take(deflated=transport.deflates)
                await turn.alone()  # no more than once: what is taken after it is kept
                start = _resumed(room, resume) or _resumed(room, snapshot)
            # No await from here on: its place might not be kept any more.
            session = Session(
                transport,
                room,
                newcomer.client,
                newcomer.identity,
                seen,
                position=start.revision,
                last_seq=last_seq,
                limits=services.settings,
                tokens=services.tokens,
                pushes=services.pushes,
            )
            welcome = handshake.welcome(
                room,
                newcomer.client,
                role,
                services.settings,
                start=start,
                reset=resume is not None and start is not resume,
                took_effect=took_effect,
            )
            session.start(welcome, newcomer.arrival, turn.end)
            conversation = Conversation(session, stay, services.tokens, services.counts)
            if isinstance(transport, AsgiTransport):
                await serve(websocket, conversation)
            else:
                transport.serve(conversation)


def _resumed(room: OpenRoom, resume: T | None) -> T | None:
    """Where the client goes on from, if that is kept; None for a fresh start (H5, H6)."""
    if resume is None or room.visible_mark_at(resume.revision) != resume.mark:
        return None
    return resume


async def _settle(
    services: Services, room: OpenRoom, newcomer: Newcomer, *, waited: bool
) -> tuple[Seen, int, bool | None]:
    """What the newcomer may do, the largest seq that the client is known to have used, and the fate
    of the push in flight, None if it named none (H7, H8).

    What was looked at when they came holds if nothing was waited for since, as nearly always; else
    it is looked at again. Raises `NotReady` while the fate cannot be settled.
    """
    client, asked, look = newcomer.client, newcomer.asked, newcomer.look
    if not room.attendance.is_newest(client, newcomer.arrival):
        raise NotReady("a newer session of this client came")
    took_effect = None
    try:
        async with asyncio.timeout(services.settings.open_timeout_s):
            if asked.inflight is not None:
                took_effect = await room.fate(client, asked.inflight)
                waited = True
            elif asked.resume is not None and _resumed(room, asked.resume) is None:
                await room.feed.catch_up()  # what it lacks here, another server may know
                waited = True
            if waited:
                # Of what changes from here on, the room hears.
                look = await _look(services, room.document_id, room, newcomer.identity, asked)
    except (Unavailable, TimeoutError, OSError) as error:
        raise NotReady(f"the push in flight cannot be settled now: {error}") from None
    standing, version, saved_seq = look.known
    last_seq = max(saved_seq, room.last_seq(client, look.saved_revision))
    if asked.inflight is None:
        return Seen(standing, version), last_seq, None
    took_effect = took_effect or saved_seq == asked.inflight
    return Seen(standing, version), max(last_seq, asked.inflight), took_effect


@asynccontextmanager
async def _transport(websocket: WebSocket) -> AsyncIterator[Serving | AsgiTransport]:
    """What the session is to be served by, if nothing fails in here."""
    offer = offered(websocket.scope)
    if offer is None:
        async with sending(websocket) as transport:
            yield transport
        return
    serving = offer.take_over()
    try:
        yield serving
    except BaseException:
        serving.abort()
        raise


route = WebSocketRoute("/v1/documents/{document_id}/live", live)
"""Not one of FastAPI's, which takes longer, and has nothing to check here."""
