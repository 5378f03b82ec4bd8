"""What a client raises beyond `collab.errors`, and how answers of the server become errors.

CollabError
├── Rejected      the person: the push was refused for good; here is what was in it
├── Astray        the client itself: its text is not the server's; it starts afresh
├── Refusal …     an edit that is refused before it is sent (`collab.errors`)
├── Problem …     a handshake or a request that is refused (`collab.errors`)
└── SessionEnd    the server ended the session for good (`collab.errors`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from collab import errors
from collab.errors import CollabError, Problem, Refusal

if TYPE_CHECKING:
    from collab.text import Change, Text


class Rejected(CollabError):
    """A push was refused for good, and with it what was typed on top of it (P5).

    The editor shows the confirmed text again. `text` is what it showed before, `changes` are the
    edits that are not in the document: the first applies to `confirmed`, the last makes `text`.
    They were number `first` to `last` of all that this editor typed.
    """

    def __init__(
        self,
        refusal: Refusal,
        *,
        confirmed: Text,
        text: Text,
        changes: tuple[Change, ...],
        first: int,
        last: int,
    ) -> None:
        super().__init__(f"{refusal.code}: {refusal.message}")
        self.refusal = refusal
        self.confirmed = confirmed
        self.text = text
        self.changes = changes
        self.first = first
        self.last = last


class Astray(CollabError):
    """What the server says does not fit this client's text: they have parted, or never met."""


def refusal(code: str, message: str, retry_after_ms: int | None) -> Refusal:
    """The refusal of this code; a code of a later version is simply a Refusal."""
    kind = _REFUSALS.get(code, Refusal)
    return kind(message or code, retry_after_ms=retry_after_ms)


def problem(status: int, body: bytes, retry_after: str | None) -> Problem:
    """The error that an HTTP answer stands for; a proxy's answer is no problem document.

    `retry_after` is the header's value; a date there is passed over.
    """
    try:
        said = msgspec.json.decode(body, type=_ProblemDocument)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = _ProblemDocument()
    kind = _PROBLEMS.get((status, said.code)) or _BY_STATUS.get(status)
    if kind is None:
        kind = errors.NotReady if status >= 500 else Problem
    error = kind(said.detail or said.title or f"HTTP {status}")
    if retry_after and retry_after.isdecimal():
        error.retry_after_ms = int(retry_after) * 1000
    return error


class _ProblemDocument(msgspec.Struct):
    code: str = ""
    title: str = ""
    detail: str = ""


_REFUSALS: dict[str, type[Refusal]] = {
    kind.code: kind
    for kind in (
        errors.InvalidChange,
        errors.Stale,
        errors.Forbidden,
        errors.TooLarge,
        errors.DocumentFull,
        errors.RateLimited,
        errors.Unavailable,
    )
}
_PROBLEMS: dict[tuple[int, str], type[Problem]] = {
    (kind.status, kind.code): kind for kind in Problem.__subclasses__()
}
_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind for kind in reversed(Problem.__subclasses__())
}
