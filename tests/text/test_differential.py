"""T7: the published `@codemirror/state` and this engine, side by side over random cases.

COLLAB_DIFFERENTIAL_CASES says how many, one seed each. A failure names the seed that repeats it
alone: COLLAB_DIFFERENTIAL_SEED=<seed> COLLAB_DIFFERENTIAL_CASES=1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from collab.text import Change, Text, to_units

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = int(os.environ.get("COLLAB_DIFFERENTIAL_CASES", "40000"))
FIRST_SEED = int(os.environ.get("COLLAB_DIFFERENTIAL_SEED", "1"))
BATCH = 500

WEB = Path(__file__).parents[2] / "web"
REFERENCE = Path(__file__).parent / "node" / "reference.mjs"

Case = dict[str, Any]
Answer = dict[str, Any]


def test_t7_every_operation_gives_what_the_library_gives(library: Library) -> None:
    compared = 0
    for start in range(FIRST_SEED, FIRST_SEED + CASES, BATCH):
        seeds = range(start, min(start + BATCH, FIRST_SEED + CASES))
        cases = [random_case(Random(seed)) for seed in seeds]
        library.ask(cases)
        own_answers = [answer(case) for case in cases]  # while node works on the same
        for seed, case, own, theirs in zip(
            seeds, cases, own_answers, library.answers(), strict=True
        ):
            if own != theirs:
                pytest.fail(difference(seed, case, own, theirs))
            compared += 1
    assert compared == CASES > 0


# -- The two sides ------------------------------------------------------------------------------


def answer(case: Case) -> Answer:
    """The engine's answer; `node/reference.mjs` has the library's."""
    text = Text.of(case["text"])
    a, b, after = (Change.from_json(case[name]) for name in ("a", "b", "after"))
    return {
        "json": a.to_json(),
        "apply": str(a.apply(text)),
        "a.map(b)": a.map(b).to_json(),
        "a.map(b, before)": a.map(b, before=True).to_json(),
        "b.map(a)": b.map(a).to_json(),
        "b.map(a, before)": b.map(a, before=True).to_json(),
        "compose": a.compose(after).to_json(),
        "invert": a.invert(text).to_json(),
        "positions": [a.map_position(pos, assoc) for pos, assoc in case["positions"]],
        "no assoc": [a.map_position(pos) for pos, _ in case["positions"]],
    }


class Library:
    """The published package, in a process that answers batch by batch."""

    def __init__(self, node: subprocess.Popen[str]) -> None:
        assert node.stdin
        assert node.stdout
        self._in, self._out = node.stdin, node.stdout

    def ask(self, cases: list[Case]) -> None:
        self._in.write(json.dumps(cases) + "\n")
        self._in.flush()

    def answers(self) -> list[Answer]:
        line = self._out.readline()
        if not line:
            pytest.fail("the library's process ended; its stderr says why")
        answers: list[Answer] = json.loads(line)
        return answers


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    node = shutil.which("node")
    if not node:
        pytest.fail("node is not installed: the engine cannot be compared with the library")
    if not (WEB / "node_modules" / "@codemirror" / "state").is_dir():
        pytest.fail(f"@codemirror/state is not installed: run `npm ci` in {WEB}")
    with subprocess.Popen(
        [node, str(REFERENCE), str(WEB)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        yield Library(process)


def difference(seed: int, case: Case, own: Answer, theirs: Answer) -> str:
    lines = [f"seed {seed} differs from the library"]
    lines += [f"  {name} = {json.dumps(value)}" for name, value in case.items()]
    for name in own:
        if own[name] != theirs[name]:
            lines.append(f"  {name}: {json.dumps(own[name])}, library {json.dumps(theirs[name])}")
    return "\n".join(lines)


# -- Random cases -------------------------------------------------------------------------------

ALPHABET = "abc\n\n😀é𝄞"


def random_case(random: Random) -> Case:
    """Two changes of one text, one to come after the first, and positions to map.

    Texts are short, so that the changes meet; no change cuts a surrogate pair.
    """
    text = random_text(random, random.choice((0, 1, 3, 6, 10, 30)))
    a = random_change(random, text)
    applied = str(Change.from_json(a).apply(Text.of(text)))
    return {
        "text": text,
        "a": a,
        "b": random_change(random, text),
        "after": random_change(random, applied),
        "positions": [
            [random.randrange(units(text) + 1), random.choice((-1, 0, 1))] for _ in range(4)
        ],
    }


def random_change(random: Random, text: str) -> list[Any]:
    return random_splice(random, text) if random.random() < 0.4 else random_sections(random, text)


def random_splice(random: Random, text: str) -> list[Any]:
    """One replaced section between keeps, as nearly all changes are."""
    start, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
    if random.random() < 0.5:
        end = start
    replaced: list[Any] = [units(text[start:end]), *random_lines(random)]
    around = (units(text[:start]), replaced, units(text[end:]))
    return [section for section in around if section]


def random_sections(random: Random, text: str) -> list[Any]:
    """Any sections at all: unjoined neighbours, deletions of nothing, insertions beside each."""
    sections: list[Any] = []
    while text or random.random() < 0.3:
        size = random.choice((0, 1, 1, 2, 3, 8))
        stretch, text = text[:size], text[size:]
        if random.random() < 0.5:
            sections.append([units(stretch), *random_lines(random)])
        elif stretch:
            sections.append(units(stretch))
    return sections


def random_lines(random: Random) -> list[str]:
    if random.random() < 0.4:
        return []
    return random_text(random, random.choice((0, 1, 2, 5))).split("\n")


def random_text(random: Random, size: int) -> str:
    return "".join(random.choices(ALPHABET, k=size))


def units(text: str) -> int:
    return len(to_units(text))
