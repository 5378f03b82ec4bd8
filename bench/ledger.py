"""Who inserted what: every insertion is a token that no other is, all of one width.

Whoever inserts only tokens, and only at multiples of the width, never cuts one: so a text is a row
of tokens, and each that was typed can be counted in it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

WIDTH = 10  # units


@dataclass
class Verdict:
    """What became of all insertions, in numbers of tokens."""

    acknowledged: int = 0
    unanswered: int = 0
    """Nobody waited for their fate."""
    unanswered_there: int = 0
    lost: int = 0
    """Acknowledged, and not there."""
    doubled: int = 0
    """There more than once."""
    unknown: int = 0
    """There, and typed by nobody."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.unknown)


@dataclass
class Ledger:
    """The insertions into one document."""

    acknowledged: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    """Typed by who left without waiting: they may be there or not, but not twice."""

    def judge(self, text: str) -> Verdict:
        tokens = Counter(text.splitlines(keepends=True))
        known = self.acknowledged | self.unanswered
        return Verdict(
            acknowledged=len(self.acknowledged),
            unanswered=len(self.unanswered),
            unanswered_there=len(self.unanswered & tokens.keys()),
            lost=len(self.acknowledged - tokens.keys()),
            doubled=sum(1 for typed in known if tokens[typed] > 1),
            unknown=len(tokens.keys() - known),
        )


def token(number: int) -> str:
    """The token of this number, a line of its own."""
    return f"{number:0{WIDTH - 1}d}\n"


def together(verdicts: list[Verdict]) -> Verdict:
    """The sums."""
    return Verdict(
        **{name: sum(getattr(each, name) for each in verdicts) for name in vars(Verdict())}
    )
