"""The handshake: what a client asks for, and what it is told first."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from collab.errors import BadRequest, Denied, Unauthorized
from collab.live.messages import limits_json
from collab.log.entry import encode_json
from collab.rooms.frames import Batch, Welcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.datastructures import Headers

    from collab.access.roles import Role
    from collab.rooms.open_room import OpenRoom
    from collab.rooms.snapshot import Snapshot
    from collab.settings import Limits

PROTOCOL = 1

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,16}", re.ASCII)
_BEARER = re.compile(r"Bearer +(\S+) *", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a history a client stands."""

    revision: int
    mark: str


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asks for (H1).

    `client_id` is secret. `resume` is None for a fresh start; `inflight` is the seq of a push whose
    fate the client does not know.
    """

    token: str
    client_id: str
    resume: Place | None
    inflight: int | None


def parse(query: Mapping[str, str], headers: Headers) -> Handshake:
    """Raises `BadRequest` or `Unauthorized`."""
    token = query.get("token") or _bearer(headers)
    if not token:
        raise Unauthorized("a token is needed")
    client_id = query.get("client", "")
    if not _CLIENT_ID.fullmatch(client_id):
        raise BadRequest("client must be 16 to 64 of A-Z a-z 0-9 _ -")
    revision, mark = _integer(query, "revision"), query.get("mark")
    if (revision is None) != (mark is None):
        raise BadRequest("a resume needs both revision and mark")
    resume = None
    if revision is not None and mark is not None:
        resume = Place(revision, mark)
    return Handshake(token, client_id, resume, _integer(query, "inflight"))


def _bearer(headers: Headers) -> str:
    match = _BEARER.fullmatch(headers.get("authorization", ""))
    return match[1] if match else ""


def _integer(query: Mapping[str, str], name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value) or int(value) >= 2**53:
        raise BadRequest(f"{name} must be a whole number")
    return int(value)


def check_origin(headers: Headers, allowed: Collection[str]) -> None:
    """H3. Raises `Denied` for a page of another origin; programs send no origin."""
    origin = headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    if not origin.isascii() or _authority(origin) != headers.get("host", "").lower():
        raise Denied("this origin is not allowed")


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def welcome(
    room: OpenRoom,
    client: str,
    role: Role,
    limits: Limits,
    *,
    start: Place | Snapshot,
    reset: bool,
    took_effect: bool | None,
) -> Batch | Welcome:
    """The first message (H4 to H7).

    `start` is where the client goes on from, or what it begins with. `took_effect` is the fate of
    the push in flight, None if the client named none.
    """
    message: dict[str, object] = {
        "type": "welcome",
        "protocol": PROTOCOL,
        "client": client,
        "session": secrets.token_urlsafe(9),
        "revision": start.revision,
        "mark": start.mark,
        "head": room.visible_revision if isinstance(start, Place) else start.revision,
        "saved": room.saved_revision,
        "role": role.value,
        "limits": limits_json(limits),
    }
    if took_effect is not None:
        message["inflight"] = "ordered" if took_effect else "void"
    if reset:
        message["reset"] = True
    fields = [encode_json(message)[1:-1]]
    fields.append(b'"presence":[%s]' % b",".join(room.presenter.everybody_but(client)))
    own = b"{%s}" % b",".join(fields)
    return Batch(own) if isinstance(start, Place) else Welcome(own, start)
