"""The page of figures is made of what was measured, and of nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench import performance

FIGURES: dict[str, float | None] = {figure.name: None for figure in performance.FIGURES}


def row(name: str, figures: dict[str, float]) -> dict[str, Any]:
    return {
        "workload": {"name": "two editors"},
        "server": name,
        "version": "1.0",
        "figures": {**FIGURES, **figures},
        "notes": ["does not keep up"] if name == "slow" else [],
    }


def test_a_workload_has_a_row_for_each_server_and_says_what_is_to_be_said() -> None:
    found = {"rows": [row("collab", {"p50 ms": 1.25, "server": 0.5}), row("slow", {})]}
    lines = performance.peers_tables(found).split("\n")
    assert lines[0] == "**two editors**"
    assert lines[4] == "| collab | - | 1.2 | - | - | - | 50% | - |"
    assert lines[-1] == "- slow: does not keep up"


def test_the_page_has_a_place_for_all_that_is_measured() -> None:
    page = performance.PAGE.read_text()
    names = re.findall(r"<!-- made: (\S+) -->\n(?:.*?\n)??<!-- end: \1 -->", page, re.DOTALL)
    assert set(names) == {"versions", "peers", *performance.COMMANDS}


def test_what_is_made_replaces_what_was_made_before_and_no_words() -> None:
    page = "words\n<!-- made: a -->\nold\n<!-- end: a -->\nmore words\n"
    once = performance.rebuilt(page, {"a": "new"})
    assert once == "words\n<!-- made: a -->\nnew\n<!-- end: a -->\nmore words\n"
    assert performance.rebuilt(once, {"a": "new"}) == once
    with pytest.raises(AssertionError, match="no place for b"):
        performance.rebuilt(page, {"b": "?"})


def test_the_page_is_as_its_figures_make_it() -> None:
    page = performance.PAGE.read_text()
    assert performance.rebuilt(page, performance.parts()) == page
