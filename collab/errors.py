"""Every error that a user of Collab can meet, and how it is answered.

    CollabError
    ├── Refusal            a push that is not and will not be in the history (P5)
    │   ├── InvalidChange      the client: its change is not a change of that text
    │   ├── Stale              the client: catch up, then push again
    │   ├── Forbidden          the owner: the role allows no writing
    │   ├── TooLarge           the client: split it
    │   ├── DocumentFull       the person: the document holds no more
    │   ├── RateLimited        the client: later
    │   └── Unavailable        the operator: ordering or storage is down; later
    ├── Problem            a request or a handshake that is refused
    │   ├── BadRequest, Unauthorized, Denied, PasswordNeeded, WrongPassword, NotFound, NoSuchUser,
    │   ├── RequestTooSlow, Conflict, UsernameTaken, DocumentsFull, VersionsFull, LinksFull,
    │   ├── PreconditionFailed, BodyTooLarge, TextTooLong, UnsupportedMedia, Unprocessable,
    │   ├── KeyReused, PreconditionRequired, TooMany, HeadTooLarge,
    │   └── NotReady (Damaged: the operator)
    ├── SessionEnd         a session that ends, with its close code (L3)
    └── Misconfigured      the operator: the server does not start

`code` is stable: programs may rely on it. The message is for people.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class CollabError(Exception):
    """Whatever Collab raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "", *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_ms = retry_after_ms


# -- A refused push -----------------------------------------------------------------------------


class Refusal(CollabError):
    """A push was refused, all of it and for good; the document is untouched."""


class InvalidChange(Refusal):
    code = "invalid_change"


class Stale(Refusal):
    code = "stale"


class Forbidden(Refusal):
    code = "forbidden"


class TooLarge(Refusal):
    code = "too_large"


class DocumentFull(Refusal):
    code = "document_full"


class RateLimited(Refusal):
    code = "rate_limited"


class Unavailable(Refusal):
    code = "unavailable"


# -- A refused request or handshake -------------------------------------------------------------


class Problem(CollabError):
    """A request was refused: an RFC 9457 problem document with this status and title."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"


class BadRequest(Problem):
    code, status, title = "bad_request", 400, "Bad request"


class Unauthorized(Problem):
    code, status, title = "unauthorized", 401, "Not signed in"


class Denied(Problem):
    code, status, title = "forbidden", 403, "Not allowed"


class PasswordNeeded(Problem):
    code, status, title = "password_needed", 403, "A password is needed"


class WrongPassword(Problem):
    code, status, title = "wrong_password", 403, "Wrong password"


class NotFound(Problem):
    code, status, title = "not_found", 404, "Not found"


class NoSuchUser(Problem):
    code, status, title = "no_such_user", 404, "No such user"


class RequestTooSlow(Problem):
    code, status, title = "too_slow", 408, "Request too slow"


class Conflict(Problem):
    code, status, title = "conflict", 409, "Conflict"


class UsernameTaken(Problem):
    code, status, title = "username_taken", 409, "Username taken"


class DocumentsFull(Problem):
    code, status, title = "documents_full", 409, "No more documents"


class VersionsFull(Problem):
    code, status, title = "versions_full", 409, "No more versions"


class LinksFull(Problem):
    code, status, title = "links_full", 409, "No more links"


class PreconditionFailed(Problem):
    code, status, title = "precondition_failed", 412, "Precondition failed"


class BodyTooLarge(Problem):
    code, status, title = "too_large", 413, "Body too large"


class TextTooLong(Problem):
    code, status, title = "document_full", 413, "Text too long for a document"


class UnsupportedMedia(Problem):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class Unprocessable(Problem):
    """`pointer` is the part of the body that is meant, a JSON pointer: `/title`."""

    code, status, title = "invalid", 422, "Invalid request"

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.pointer = pointer


class KeyReused(Problem):
    code, status, title = "idempotency_mismatch", 422, "Idempotency key of another request"


class PreconditionRequired(Problem):
    code, status, title = "precondition_required", 428, "Precondition required"


class TooMany(Problem):
    code, status, title = "rate_limited", 429, "Too many requests"


class HeadTooLarge(Problem):
    code, status, title = "head_too_large", 431, "Request head too large"


class NotReady(Problem):
    code, status, title = "unavailable", 503, "Not available now"


class Damaged(NotReady):
    """The operator: a document's history in the database does not fit together."""


# -- An ended session ---------------------------------------------------------------------------


class CloseCode(IntEnum):
    """Why the server ends a session (L3)."""

    TOO_BIG = 1009
    RESTART = 1012
    PROTOCOL = 4400
    TOKEN_EXPIRED = 4401
    ACCESS_LOST = 4403
    DELETED = 4404
    SILENT = 4408
    REPLACED = 4409
    FELL_BEHIND = 4410
    TOO_FAST = 4429


class SessionEnd(CollabError):
    """The session ends with `close`; the message is the close frame's reason."""

    code = "session_end"

    def __init__(self, close: CloseCode, message: str) -> None:
        super().__init__(message)
        self.close = close


class Misconfigured(CollabError):
    code = "misconfigured"
