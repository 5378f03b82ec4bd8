"""What became of everything that was typed: judged by the document's history and all its copies.

Whoever types inserts one token at a time and deletes nothing. So the history is a row of tokens in
the order in which they were ordered, and the text is one of all the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bench.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collab.storage.history import SavedUpdate

TOKENS_EACH = 1_000_000
"""The tokens of one person have numbers of their own, which grow in the order they are typed."""


class Copy(NamedTuple):
    """A document as somebody shows it."""

    revision: int
    text: str


class Saved(NamedTuple):
    """A document as the database has it, and all its updates in order."""

    copy: Copy
    updates: Sequence[SavedUpdate]


@dataclass
class Verdict:
    """`tokens` were acknowledged, in so many `pushes`."""

    tokens: int = 0
    pushes: int = 0
    lost: int = 0
    doubled: int = 0
    unknown: int = 0
    """There, and typed by nobody."""
    disordered: int = 0
    """Ordered after a token that the same person typed later."""
    different: list[str] = field(default_factory=list)
    """Who shows another text or revision than the database has."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.unknown or self.disordered or self.different)

    def __iadd__(self, other: Verdict) -> Verdict:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


def judge(acknowledged: set[str], saved: Saved, copies: Mapping[str, Copy]) -> Verdict:
    """One document, as the database has it and as everybody else shows it."""
    order = [token for update in saved.updates for token in _inserted(update.change)]
    ledger = Ledger(acknowledged)
    by_text, by_history = ledger.judge(saved.copy.text), ledger.judge("".join(order))
    return Verdict(
        tokens=len(acknowledged),
        pushes=len({(update.client, update.seq) for update in saved.updates if not update.void}),
        lost=max(by_text.lost, by_history.lost),
        doubled=max(by_text.doubled, by_history.doubled),
        unknown=max(by_text.unknown, by_history.unknown),
        disordered=disordered([token for token in order if token in acknowledged]),
        different=[who for who, copy in copies.items() if copy != saved.copy],
    )


def disordered(order: Sequence[str]) -> int:
    """How many tokens come after one that the same person typed later."""
    last: dict[int, int] = {}
    found = 0
    for number in map(int, order):
        person = number // TOKENS_EACH
        found += number < last.get(person, -1)
        last[person] = max(number, last.get(person, -1))
    return found


def _inserted(change: bytes) -> list[str]:
    sections = msgspec.json.decode(change)
    return ["\n".join(part[1:]) for part in sections if isinstance(part, list) and len(part) > 1]
