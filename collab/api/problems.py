"""Errors as problem documents (RFC 9457), whoever raised them."""

import json
import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from collab.errors import (
    BadRequest,
    BodyTooLarge,
    CollabError,
    DocumentFull,
    Forbidden,
    InvalidChange,
    NotFound,
    NotReady,
    Problem,
    RateLimited,
    Refusal,
    Stale,
    TooLarge,
    Unavailable,
    Unprocessable,
)
from collab.rooms.room import Copied

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS_NAMED = 20

_REFUSALS: dict[type[CollabError], tuple[int, str]] = {
    InvalidChange: (422, "Not a change of that text"),
    Stale: (412, "The revision lies too far back"),
    Forbidden: (403, "Not allowed"),
    TooLarge: (413, "Change too large"),
    DocumentFull: (413, "The document is full"),
    RateLimited: (429, "Too many requests"),
    Unavailable: (503, "Not available now"),
    Copied: (409, "Ordered before"),
}
"""How a push is refused that came as a request: its status and title; the code is its own."""


class ProblemDocument(BaseModel):
    """`code` is stable: programs may rely on it. `detail` is for people.

    `errors` name what is wrong in a request: `{"detail", "pointer"}` a part of the body, by JSON
    pointer; `{"detail", "parameter"}` a parameter.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | None = None
    retry_after_ms: int | None = None


def status_of(error: CollabError | type[CollabError]) -> tuple[int, str]:
    """The status and the title of the answer to an error."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, Problem):
        return kind.status, kind.title
    return _REFUSALS.get(kind, (Problem.status, Problem.title))


def documented(*errors: type[CollabError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer these."""
    titles: dict[int, list[str]] = {}
    for status, title in map(status_of, errors):
        titles.setdefault(status, []).append(title)
    return {
        status: {
            "description": "; ".join(titles[status]),
            "content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}},
        }
        for status in sorted(titles)
    }


def install(app: FastAPI) -> None:
    app.exception_handler(Problem)(_answer_problem)
    app.exception_handler(Refusal)(_answer_problem)
    app.exception_handler(RequestValidationError)(_answer_invalid)
    app.exception_handler(HTTPException)(_answer_http)
    app.exception_handler(SQLAlchemyError)(_answer_database)
    app.exception_handler(Exception)(_answer_unforeseen)


def problem_response(
    problem: Problem | Refusal, errors: list[dict[str, str]] | None = None
) -> Response:
    status, title = status_of(problem)
    if isinstance(problem, Unprocessable) and problem.pointer is not None:
        errors = [{"detail": problem.message, "pointer": f"#{problem.pointer}"}]
    headers = {}
    if problem.retry_after_ms is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_after_ms / 1000))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    document = _document(status, problem.code, title, problem.message)
    document.errors = errors
    document.retry_after_ms = problem.retry_after_ms
    return _response(document, headers)


async def _answer_problem(_request: Request, problem: Problem | Refusal) -> Response:
    return problem_response(problem)


async def _answer_invalid(_request: Request, error: RequestValidationError) -> Response:
    """What FastAPI found wrong before our code saw the request."""
    found = error.errors()
    for each in found:
        if each["type"] == "json_invalid":
            return problem_response(BadRequest(f"the body is not JSON: {each['ctx']['error']}"))
        if each["type"] == "too_long":
            return problem_response(TooLarge(f"at most {each['ctx']['max_length']} at once"))
    named = [_name(each["loc"], each["msg"]) for each in found[:MAX_ERRORS_NAMED]]
    return problem_response(Unprocessable("the request is not as documented"), named)


async def _answer_http(request: Request, error: HTTPException) -> Response:
    """What Starlette and FastAPI raise: no such path or method, a body that cannot be read."""
    status = HTTPStatus(error.status_code)
    for known in (BadRequest, NotFound, BodyTooLarge):
        if known.status == status:
            return problem_response(known(error.detail))
    code = status.phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return _response(_document(status, code, status.phrase, error.detail), headers)


def _allowed(request: Request) -> list[str]:
    """Every method of the resource: Starlette names those of the first route with its path."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        for scope in [{**request.scope, "method": method}]
        if any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)
    ]


async def _answer_database(request: Request, error: SQLAlchemyError) -> Response:
    log.error("database failed", **_failed(request, error))
    return problem_response(NotReady("the database does not answer", retry_after_ms=1_000))


async def _answer_unforeseen(request: Request, error: Exception) -> Response:
    """Starlette raises the error on after this, and the server logs its traceback."""
    log.error("request failed", **_failed(request, error))
    return problem_response(Problem("something went wrong here; it was logged"))


def _failed(request: Request, error: Exception) -> dict[str, str]:
    """What may be logged: the path itself holds a document's id, and the message may hold more."""
    route = getattr(request.scope.get("route"), "path", "")
    return {"method": request.method, "route": route, "error": type(error).__name__}


def _document(status: int, code: str, title: str, detail: str) -> ProblemDocument:
    urn = f"urn:collab:problem:{code}"
    return ProblemDocument(type=urn, title=title, status=status, code=code, detail=detail)


def _response(document: ProblemDocument, headers: Any) -> Response:
    # In ASCII: what is quoted from a request may hold an unpaired surrogate, which UTF-8 cannot.
    body = json.dumps(document.model_dump(exclude_none=True))
    return Response(body, document.status, headers, MEDIA_TYPE)


def _name(place: Iterable[int | str], detail: str) -> dict[str, str]:
    where, *path = place
    if where != "body":
        return {"detail": detail, "parameter": str(path[0])}
    if path and str(path[0]).startswith("<"):
        del path[0]  # the name of one of several forms that a body may have
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return {"detail": detail, "pointer": "#" + "".join(f"/{part}" for part in parts)}
