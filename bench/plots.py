"""The plots of docs/performance.md, as SVG: `python -m bench.plots docs/performance`.

Run by `bench.performance`, in the environment that has the library.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence

COLORS = {
    "collab": "#2563eb",
    "hocuspocus": "#d97706",
    "y-websocket": "#059669",
    "sharedb": "#dc2626",
    "pycrdt": "#7c3aed",
}
PLOTS = {
    "cpu": ("CPU s/1,000", "CPU seconds per 1,000 deliveries"),
    "p99": ("p99 ms", "ms from a key to another editor, p99"),
    "memory": ("MB", "resident memory, MB"),
}
"""By file name: the figure, and what the axis says."""


def typists(rows: Sequence[dict[str, Any]], figure: str) -> dict[str, list[tuple[int, float]]]:
    """Of each server that keeps up, its figure by how many type into one document."""
    lines: dict[str, dict[int, float]] = {}
    for row in rows:
        workload, value = row["workload"], row["figures"][figure]
        many = workload["name"] == f"{workload['typists']} typists"
        if many and value is not None and keeps_up(row):
            lines.setdefault(row["server"], {}).setdefault(workload["typists"], value)
    return {server: sorted(points.items()) for server, points in lines.items()}


def keeps_up(row: dict[str, Any]) -> bool:
    """Whether it did in one round at least."""
    return any(
        not any(note.startswith("does not keep up") for note in one["notes"])
        for one in row["rounds"]
    )


def draw(path: Path, label: str, lines: dict[str, list[tuple[int, float]]]) -> None:
    """Both axes logarithmic: a step is a factor."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for server, points in lines.items():
        across, up = zip(*points, strict=True)
        axes.plot(across, up, marker="o", label=server, color=COLORS[server])
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({count for points in lines.values() for count, _ in points})
    axes.set_xticks(ticks, [str(count) for count in ticks])
    axes.minorticks_off()
    axes.set_xlabel("people who type into one document, 5 updates/s each")
    axes.set_ylabel(label)
    axes.grid(visible=True, color="#e5e7eb")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def main() -> int:
    folder = Path(sys.argv[1])
    mpl.rcParams["svg.hashsalt"] = "collab"  # the same figures make the same file
    rows = json.loads((folder / "peers.json").read_text())["rows"]
    for name, (figure, label) in PLOTS.items():
        draw(folder / f"{name}.svg", label, typists(rows, figure))
    return 0


if __name__ == "__main__":
    sys.exit(main())
