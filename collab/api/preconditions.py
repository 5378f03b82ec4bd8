"""`If-Match`: the revision that a change of a text was made from."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header

from collab.errors import BadRequest, PreconditionFailed, PreconditionRequired
from collab.rooms.open_room import OpenRoom

# A tag that was weakened on its way names the same revision.
_TAG = re.compile(r'(?:W/)?"(0|[1-9][0-9]{0,15})"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Base:
    """The revision that a change was made from; None for the current one, whatever it is."""

    revision: int | None

    async def resolve(self, room: OpenRoom) -> int:
        """The revision. Raises `PreconditionFailed` if it does not exist."""
        if self.revision is None:
            return room.visible_revision
        if self.revision > room.visible_revision:
            await room.feed.catch_up()
        if self.revision > room.visible_revision:
            raise PreconditionFailed(
                f"there is no revision {self.revision}; the last is {room.visible_revision}"
            )
        return self.revision


def etag(revision: int) -> str:
    return f'"{revision}"'


def names(if_none_match: str | None, revision: int) -> bool:
    """Whether an `If-None-Match` names a revision, weakly compared (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag(revision) in tags or tags == ["*"]


def required(base: Base | None) -> Base:
    if base is None:
        raise PreconditionRequired('If-Match must name the revision that this was made from: "7"')
    return base


async def _given(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="The ETag of the text that the change was made from; `*` for the current "
            "one.",
            examples=['"7"'],
        ),
    ] = None,
) -> Base | None:
    """The revision that a change was made from, if the request says."""
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return Base(None)
    tag = _TAG.fullmatch(if_match.strip())
    if tag is None:
        raise BadRequest('If-Match must be one ETag of the text, as "7", or *')
    return Base(int(tag[1]))


GivenBase = Annotated[Base | None, Depends(_given)]
