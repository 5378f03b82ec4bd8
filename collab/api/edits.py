"""What a request may ask to be done to a text, and the change that does it."""

from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from collab.api.fields import MAX_INTEGER, whole_text
from collab.errors import DocumentFull, InvalidChange, TooLarge, Unprocessable
from collab.settings import Limits
from collab.text import Change, Text, to_units
from collab.text.difference import difference

MAX_EDITS = 10_000
"""How many edits a request has at most, whatever a push may have: more are not even looked at."""


class Made(NamedTuple):
    """A change; `replaced` counts what a replacement found."""

    change: Change
    replaced: int | None = None


class Edit(BaseModel):
    """Puts `insert` in place of the UTF-16 code units from `from` to `to`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: int = Field(alias="from", ge=0, le=MAX_INTEGER)
    end: int = Field(alias="to", ge=0, le=MAX_INTEGER)
    insert: str


class Edits(BaseModel):
    """Edits of the text at the revision in `If-Match`: all positions are in that text, in order,
    and do not overlap.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "edits": [
                        {"from": 0, "to": 5, "insert": "Goodbye"},
                        {"from": 12, "to": 12, "insert": "!"},
                    ]
                }
            ]
        },
    )

    edits: list[Edit] = Field(max_length=MAX_EDITS)

    def made(self, length: int, limits: Limits) -> Made:
        """The change of a text of so many units. Raises `Unprocessable`, `TooLarge`."""
        if len(self.edits) > limits.max_sections_per_push:
            raise _too_many_sections(limits)
        sections: list[tuple[int, str | None]] = []
        before = done = 0  # where the edit before ends, and what the sections reach to
        for index, edit in enumerate(self.edits):
            if not before <= edit.start <= edit.end <= length:
                raise Unprocessable(
                    f"must have {before} <= from <= to <= {length}: edits are in order and in the "
                    "text that they are made in",
                    pointer=f"/edits/{index}",
                )
            before = edit.end
            pointer = f"/edits/{index}/insert"
            insert = to_units(whole_text(edit.insert, pointer, limits.max_document_units))
            if not insert and edit.start == edit.end:
                continue
            if edit.start > done:
                sections.append((edit.start - done, None))
            sections.append((edit.end - edit.start, insert))
            done = edit.end
        if length > done:
            sections.append((length - done, None))
        return Made(Change(tuple(sections)))


CHANGE_SCHEMA = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {
                "type": "array",
                "prefixItems": [{"type": "integer", "minimum": 0}],
                "items": {"type": "string"},
                "minItems": 1,
            },
        ]
    },
}


class Exact(BaseModel):
    """A change of the text at the revision in `If-Match`, in sections as in the live protocol: `n`
    keeps n units, `[n, line, …]` puts lines in place of n units.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"change": [[5, "Goodbye"], 7, [0, "!"]]}]},
    )

    change: Annotated[list[Any], WithJsonSchema(CHANGE_SCHEMA)]

    def made(self, length: int, limits: Limits) -> Made:
        """The change of a text of so many units. Raises `InvalidChange`, `TooLarge`."""
        if len(self.change) > limits.max_sections_per_push:
            raise _too_many_sections(limits)
        change = Change.from_json(self.change)
        if change.length != length:
            raise InvalidChange(f"a change of {change.length} units; the text there has {length}")
        return Made(change)


class Replacement(BaseModel):
    """Puts `replace` in place of every `find`, or of the first `count`. Case counts; what was found
    is not searched again.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"find": "world", "replace": "moon", "count": 1}]},
    )

    find: str = Field(min_length=1)
    replace: str
    count: int | None = Field(None, ge=1, le=MAX_INTEGER)

    def made(self, text: Text, limits: Limits) -> Made:
        """The change of `text`. Raises `Unprocessable`, `TooLarge`, `DocumentFull`."""
        find = whole_text(self.find, "/find", limits.max_document_units)
        replace = to_units(whole_text(self.replace, "/replace", limits.max_document_units))
        most = limits.max_sections_per_push // 2
        parts = str(text).split(find, min(self.count or most + 1, most + 1))
        found = len(parts) - 1
        if found > most:
            raise TooLarge(f"at most {most} can be replaced at once: give a count")
        if found * len(replace) > limits.max_document_units:
            raise DocumentFull(f"a document holds at most {limits.max_document_units} units")
        lost = len(to_units(find))
        sections: list[tuple[int, str | None]] = []
        for part in parts:
            if part:
                sections.append((len(to_units(part)), None))
            sections.append((lost, replace))
        return Made(Change(tuple(sections[:-1])), replaced=found)


def _form(body: Any) -> str | None:
    """Which form a body means to have."""
    fields = body if isinstance(body, dict) else getattr(body, "__dict__", {})
    return next((f"<{name}>" for name in ("edits", "change", "find") if name in fields), None)


Patch = Annotated[
    Annotated[Edits, Tag("<edits>")]
    | Annotated[Exact, Tag("<change>")]
    | Annotated[Replacement, Tag("<find>")],
    Discriminator(
        _form,
        custom_error_type="no_form",
        custom_error_message="must have edits, or change, or find and replace",
    ),
]


def rewriting(text: Text, body: bytes, limits: Limits) -> Made:
    """The change that makes a whole new text, UTF-8, of `text`.

    Raises `Unprocessable` for what is no text, `TextTooLong`.
    """
    try:
        written = body.decode()
    except UnicodeDecodeError as error:
        raise Unprocessable(f"the text is not UTF-8 at byte {error.start}") from None
    new = whole_text(written, None, limits.max_document_units)
    return Made(difference(str(text), new, limits.max_sections_per_push))


def check_size(change: Change, limits: Limits) -> None:
    """Raises `TooLarge` for a change of more sections than a push may have."""
    if len(change.sections) > limits.max_sections_per_push:
        raise _too_many_sections(limits)


def _too_many_sections(limits: Limits) -> TooLarge:
    return TooLarge(f"a change has at most {limits.max_sections_per_push} sections")
