"""The limits that an operator can set are those that the page for operators names."""

from __future__ import annotations

import re
from pathlib import Path

from collab.settings import Limits

OPERATIONS = Path(__file__).parents[1] / "docs/operations.md"

UNITS = {"KiB": 1_024, "MiB": 1_024**2, "GiB": 1_024**3}


def table() -> dict[str, float]:
    """The limits in the page, and their defaults."""
    section = OPERATIONS.read_text().partition("\n## Limits\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([\d.,]+) ?(KiB|MiB|GiB)?", section, re.MULTILINE)
    return {
        name.lower(): float(number.rstrip(",").replace(",", "")) * UNITS.get(unit, 1)
        for name, number, unit in rows
    }


def test_every_limit_and_its_default_are_in_the_page_for_operators() -> None:
    defaults = {name: field.default for name, field in Limits.model_fields.items()}
    assert table() == defaults
