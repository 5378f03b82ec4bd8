"""Figures for people: percentiles of raw samples, ratios, and small aligned tables."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def percentile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least `share` of all do not exceed; NaN where there is none."""
    ordered = sorted(samples)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def compared(*named: tuple[str, Sequence[float]]) -> str:
    """A table of times in seconds, a row for each, and how the later ones stand to the first."""
    head = "", "samples", *(f"{name} ms" for name in SHARES), "most ms"
    base = named[0][1]
    rows = [
        (
            name,
            str(len(samples)),
            *(ms(percentile(samples, share)) for share in (*SHARES.values(), 1.0)),
        )
        for name, samples in named
    ]
    return "\n".join([table(head, rows), *(f"{name}: {ratios(s, base)}" for name, s in named[1:])])


def ms(seconds: float) -> str:
    """Milliseconds, with three digits that count; a dash where there is no time."""
    if math.isnan(seconds):
        return "-"
    thousands = 1_000 * seconds
    return f"{thousands:.{max(0, 2 - math.floor(math.log10(max(thousands, 0.1))))}f}"


def mb(size: float) -> str:
    return f"{size / 1e6:.1f}"


def ratios(samples: Sequence[float], base: Sequence[float]) -> str:
    """How the percentiles of the samples stand to those of others."""
    return ", ".join(
        f"{name} {ratio(percentile(samples, share), percentile(base, share))}"
        for name, share in SHARES.items()
    )


def ratio(value: float, base: float) -> str:
    """How many times `base` it is; a dash where that cannot be said."""
    return f"x {value / base:.2f}" if base and math.isfinite(value / base) else "-"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much the second grows for each one of the first, by least squares; NaN for one point."""
    count = len(points)
    middle_x = sum(x for x, _ in points) / max(count, 1)
    middle_y = sum(y for _, y in points) / max(count, 1)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    if not spread:
        return math.nan
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Lines of aligned columns: the first ones to the left, as words are, the others to the right,
    as figures are.
    """
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place >= words else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def own_cpu_s() -> float:
    """Processor seconds of this process."""
    used = os.times()
    return used.user + used.system
