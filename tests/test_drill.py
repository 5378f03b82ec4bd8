"""The fault drill: its short form, on real processes, and that it notices what it must not miss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.drill import __main__ as drill
from bench.drill import report
from bench.drill.faults import ALONE, Fault
from bench.drill.report import Row
from bench.drill.verdict import TOKENS_EACH, Copy, Saved, Verdict, disordered, judge
from bench.ledger import WIDTH, token
from collab.client import connect
from collab.storage.history import SavedUpdate

if TYPE_CHECKING:
    from pathlib import Path

    from bench.drill.people import People
    from bench.drill.site import Site

MINE = [token(number) for number in range(3)]
YOURS = [token(TOKENS_EACH + number) for number in range(3)]


def saved(*order: str, text: str | None = None) -> Saved:
    """A history of tokens, each inserted at the beginning by a push of its own."""
    updates = [
        SavedUpdate(
            revision,
            client="ada",
            seq=revision,
            author="ada",
            at=0,
            void=False,
            change=json.dumps([[0, *each.split("\n")], WIDTH * (revision - 1)]).encode(),
        )
        for revision, each in enumerate(order, 1)
    ]
    shown = "".join(reversed(order)) if text is None else text
    return Saved(Copy(len(order), shown), updates)


def test_the_short_drill_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Promises 1 to 4, while servers and Redis fail."""
    figures = tmp_path / "figures.json"
    status = drill.main(["--short", "--json", str(figures)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    rows = json.loads(figures.read_text())
    assert {row["name"] for row in rows} >= {
        "kill-one",
        "rolling-restart",
        "redis-empty",
        "subscribers-killed",
        "cut-off-refused",
    }
    for row in rows:
        assert row["verdict"]["pushes"] > 0
        assert len(row["again_s"]) == 20


def test_what_was_acknowledged_and_is_there_once_everywhere_is_good() -> None:
    there = saved(MINE[0], YOURS[0], MINE[1])
    verdict = judge({MINE[0], YOURS[0], MINE[1]}, there, {"server 1": there.copy})
    assert verdict == Verdict(tokens=3, pushes=3)
    assert verdict.is_good


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (saved(MINE[0]), Verdict(2, 1, lost=1)),
        (saved(MINE[0], MINE[1], text=MINE[0]), Verdict(2, 2, lost=1)),
        (saved(MINE[0], MINE[1], MINE[0]), Verdict(2, 3, doubled=1, disordered=1)),
        (saved(MINE[0], MINE[1], text=MINE[0] + MINE[1] + MINE[0]), Verdict(2, 2, doubled=1)),
        (saved(MINE[1], MINE[0]), Verdict(2, 2, disordered=1)),
        (saved(MINE[0], MINE[1], MINE[2]), Verdict(2, 3, unknown=1)),
    ],
)
def test_what_is_lost_doubled_disordered_or_nobodys_is_found(
    there: Saved, expected: Verdict
) -> None:
    """P3, P4, U2: in the text or in the history alone, too."""
    verdict = judge({MINE[0], MINE[1]}, there, {"server 1": there.copy})
    assert verdict == expected
    assert not verdict.is_good


@pytest.mark.parametrize("other", [Copy(2, MINE[0]), Copy(1, MINE[1])])
def test_whoever_shows_another_text_or_revision_is_named(other: Copy) -> None:
    there = saved(MINE[0])
    verdict = judge({MINE[0]}, there, {"server 1": there.copy, "editor 7": other})
    assert verdict.different == ["editor 7"]
    assert not verdict.is_good


def test_order_is_each_persons_own() -> None:
    assert disordered([YOURS[0], MINE[0], YOURS[1], MINE[1]]) == 0
    assert disordered([YOURS[1], MINE[0], YOURS[0], MINE[1]]) == 1


def test_rounds_are_added_up() -> None:
    rows = [
        [Row("kill", "killed", verdict=Verdict(5, 4), again_s=[1.0, 3.0], waited_s=[4.0])],
        [Row("kill", "killed", verdict=Verdict(6, 5, lost=1), again_s=[2.0], waited_s=[6.0])],
    ]
    [row] = report.together(rows)
    assert (row.times, row.verdict) == (2, Verdict(11, 9, lost=1))
    assert report.line(row) == "| killed | 11 | 9 | 1 | 0 | 0 | 2.0 s | 3.0 s | 6.0 s | yes |"
    assert not row.is_good


async def vandalise(site: Site, people: People) -> None:
    """Takes the first person's first token away, and inserts the next person's once more."""
    victims = people.everybody[:2]
    assert len({person.document for person in victims}) == 1
    async with connect(site.url, victims[0].document, token=site.token) as vandal:
        await vandal.at(victims[0].editor.revision)
        at = str(vandal.text).index(victims[0].tokens[0])
        vandal.delete(at, at + WIDTH)
        vandal.insert(0, victims[1].tokens[0])


def test_the_drill_fails_where_something_is_lost_or_doubled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Fault("vandal", "a vandal", ALONE, vandalise)
    monkeypatch.setattr(drill, "FAULTS", [planted])
    figures = tmp_path / "figures.json"
    status = drill.main(f"--editors 2 --documents 1 --json {figures}".split())
    printed = capsys.readouterr().out
    assert status == 1, printed
    [row] = json.loads(figures.read_text())
    verdict = row["verdict"]
    assert (verdict["lost"], verdict["doubled"], verdict["different"]) == (1, 1, [])
    assert verdict["tokens"] > 4
    assert len(row["again_s"]) == len(row["waited_s"]) == 2
