"""`Idempotency-Key`: a request that is repeated under its key is done once and answered the same.

Only what succeeded is kept. A request that was refused leaves its key free; one whose fate is not
known, since the server failed or was stopped in the middle, keeps it until it is, and whoever
repeats it learns what became of it: an edit is looked up in the document's log, where it stands
under a client of its own, and what is made in the database is made in one transaction with the
answer.
"""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
from fastapi import Depends, Header, Request, Response
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect

from collab.api import services
from collab.api.deps import CurrentUser, Services
from collab.api.problems import status_of
from collab.errors import BadRequest, Conflict, KeyReused, Problem, Refusal
from collab.log.entry import public_name
from collab.rooms.room import Copied
from collab.storage import idempotency

_KEY = re.compile(r"^[\x21-\x7e]{1,255}$", re.ASCII)

_KEPT_HEADERS = ("Content-Type", "ETag", "Location")


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise BadRequest("the body was cut off") from None


RawBody = Annotated[bytes, Depends(_body)]


@dataclass(slots=True)
class Attempt:
    """One go at a request."""

    client: str
    """The public name under which an edit stands in the log: that of the request's first attempt.

    Live clients' IDs have no line breaks, so that none of them has this name.
    """
    doubtful: bool
    """An earlier attempt may have taken effect. Who finds out that none did says so here: as long
    as this holds, the request keeps its key, whatever it is answered.
    """


Work = Callable[[Attempt], Awaitable[Response]]
Transaction = Callable[[Connection], Response]


class Once:
    """A request, answered once if it has a key.

    Its answers raise `Conflict` while it is under way, `KeyReused` for another request, `TooMany`.
    """

    def __init__(
        self, running: services.Services, user_id: str, key: str | None, fingerprint: bytes
    ) -> None:
        self._services = running
        self._user_id = user_id
        self._key = key
        self._fingerprint = fingerprint

    async def edited(self, work: Work) -> Response:
        """What `work` answers, which orders an edit, or what was answered before."""

        async def edit(attempt: Attempt) -> Response:
            response = await work(attempt)
            if self._key is not None:
                await self._services.database.write(partial(self._keep, response=response))
            return response

        return await self._answer(edit)

    async def written(self, prepare: Callable[[], Awaitable[Transaction]]) -> Response:
        """What the transaction answers that `prepare` makes, or what was answered before."""

        async def write(attempt: Attempt) -> Response:
            attempt.doubtful = False  # it is kept together with its answer, and there is none
            transaction = await prepare()

            def write_and_keep(connection: Connection) -> Response:
                response = transaction(connection)
                self._keep(connection, response)
                return response

            return await self._services.database.write(write_and_keep)

        return await self._answer(write)

    async def _answer(self, work: Work) -> Response:
        if self._key is None:
            return await work(Attempt(public_name(f"\n{secrets.token_urlsafe(16)}"), False))
        under_way = self._services.requests_under_way
        place = self._user_id, self._key
        if place in under_way:
            if under_way[place] != self._fingerprint:
                raise KeyReused("this Idempotency-Key is in use by another request")
            raise Conflict("this request is being answered", retry_after_ms=1_000)
        under_way[place] = self._fingerprint
        try:
            return await self._attempt(self._key, work)
        finally:
            del under_way[place]

    async def _attempt(self, key: str, work: Work) -> Response:
        write, now = self._services.database.write, self._services.now_ms()
        begun = await write(
            lambda connection: idempotency.begin(
                connection, self._user_id, key, self._fingerprint, now
            )
        )
        if begun.answer is not None:
            return _decode(begun.answer)
        client = public_name(f"{self._user_id}\n{begun.at}\n{key}")
        attempt = Attempt(client, doubtful=begun.again)
        try:
            return await work(attempt)
        except (Conflict, Copied):
            raise  # with this request itself, at another server
        except (Problem, Refusal) as error:
            if status_of(error)[0] < 500 and not attempt.doubtful:
                await write(partial(idempotency.forget, user_id=self._user_id, key=key))
            raise

    def _keep(self, connection: Connection, response: Response) -> None:
        if self._key is not None:
            idempotency.keep(connection, self._user_id, self._key, _encode(response))


async def _once(
    request: Request,
    user: CurrentUser,
    services: Services,
    body: RawBody,
    key: Annotated[
        str | SkipJsonSchema[None],
        Header(
            alias="Idempotency-Key",
            description="1 to 255 visible ASCII characters. A request that is repeated under its "
            "key within 24 hours is done once and answered the same.",
            json_schema_extra={"pattern": _KEY.pattern},
        ),
    ] = None,
) -> Once:
    if key is not None and not _KEY.fullmatch(key):
        raise BadRequest("an Idempotency-Key has 1 to 255 visible ASCII characters")
    parts = (request.method, request.url.path, request.headers.get("if-match", ""))
    head = "\n".join(parts).encode()
    fingerprint = hashlib.sha256(head + b"\n\n" + body).digest() if key is not None else b""
    return Once(services, user.user_id, key, fingerprint)


RequestOnce = Annotated[Once, Depends(_once)]


def _encode(response: Response) -> bytes:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return msgspec.json.encode((response.status_code, headers, bytes(response.body).decode()))


def _decode(answer: bytes) -> Response:
    status, headers, body = msgspec.json.decode(answer, type=tuple[int, dict[str, str], str])
    return Response(body, status, headers)
