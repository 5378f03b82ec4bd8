"""What a drill found, as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.drill.verdict import Verdict
from bench.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Row:
    """One fault, once or several times. Times are in seconds, one of each person."""

    name: str
    title: str
    may_lose: bool = False
    """This one is known to lose what was not saved: its row tells how much. And where an editor
    carries what it has not sent into the text that is left, that may come to stand within a word.
    """
    times: int = 1
    verdict: Verdict = field(default_factory=Verdict)
    again_s: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    """The longest of each person for an acknowledgement."""
    wrong: list[str] = field(default_factory=list)
    """What went wrong beside the verdict."""

    @property
    def is_good(self) -> bool:
        verdict = self.verdict
        kept = not (verdict.doubled or verdict.different) if self.may_lose else verdict.is_good
        return kept and not self.wrong


_COLUMNS = (
    "fault",
    "insertions",
    "pushes",
    "lost",
    "doubled",
    "out of order",
    "typing again, p50",
    "slowest",
    "longest wait",
    "all equal",
)
HEAD = f"| {' | '.join(_COLUMNS)} |\n|---|{'---:|' * (len(_COLUMNS) - 2)}---|"


def line(row: Row) -> str:
    """A row of the table under `HEAD`; what is wrong follows it."""
    verdict = row.verdict
    cells = (
        row.title,
        verdict.tokens,
        verdict.pushes,
        verdict.lost,
        verdict.doubled,
        verdict.disordered,
        f"{percentile(row.again_s, 0.5):.1f} s",
        f"{percentile(row.again_s, 1.0):.1f} s",
        f"{percentile(row.waited_s, 1.0):.1f} s",
        "no" if verdict.different or row.wrong else "yes",
    )
    wrong = row.wrong + [f"another text: {who}" for who in verdict.different]
    if verdict.unknown and not row.may_lose:
        wrong.append(f"nobody typed this: {verdict.unknown} lines")
    return "\n".join([f"| {' | '.join(map(str, cells))} |", *(f"WRONG: {each}" for each in wrong)])


def together(rounds: Sequence[Sequence[Row]]) -> list[Row]:
    """The same faults of several rounds, each as one row."""
    sums: dict[str, Row] = {}
    for row in (row for rows in rounds for row in rows):
        whole = sums.setdefault(row.name, Row(row.name, row.title, row.may_lose, times=0))
        whole.times += row.times
        whole.verdict += row.verdict
        whole.again_s = whole.again_s + row.again_s
        whole.waited_s = whole.waited_s + row.waited_s
        whole.wrong = whole.wrong + row.wrong
    return list(sums.values())


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
