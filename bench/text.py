"""What the text engine costs: microseconds an operation, the best of several rounds.

python bench/text.py
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
ROUND_S = 0.05


def main() -> None:
    typed = Change.from_json([100, [0, "x"], 900])
    typed_on = Change.from_json([101, [0, "y"], 900])
    elsewhere = Change.from_json([500, [0, "y"], 500])
    deleted = Change.from_json([90, [20], 890])
    scattered = Change.from_json([100, [0, "x"], 100, [1, "y"], 100, [3], 696])
    many = Change.from_json([part for _ in range(50) for part in (10, [10, "z"])])
    report("map: splice over splice", lambda: typed.map(elsewhere))
    report("map: splice over splice, before", lambda: elsewhere.map(typed, before=True))
    report("map: overlapping splices", lambda: typed.map(deleted))
    report("map: splice over 3 splices", lambda: typed.map(scattered))
    report("map: 3 splices over a splice", lambda: scattered.map(typed))
    report("map: 50 splices over 50 splices", lambda: many.map(many))
    report("compose: typing on", lambda: typed.compose(typed_on))
    wire = typed.to_json()
    report("from_json: splice", lambda: Change.from_json(wire))
    report("from_json and to_json: splice", lambda: Change.from_json(wire).to_json())
    report("invert: splice", partial(typed.invert, Text.of("x" * 1000)))
    report("map_position: splice", lambda: typed.map_position(500))
    for size in (1_000, 1_000_000, 10_000_000):
        text = Text.of("0123456789" * (size // 10))
        middle = size // 2
        report(
            f"apply: insert in {size} units",
            partial(Change.replace(size, middle, middle, "x").apply, text),
        )
        report(
            f"apply: delete over leaves in {size} units",
            partial(Change.replace(size, size // 4, middle, "").apply, text),
        )
    big = "line of text\n" * 100_000
    text = Text.of(big)
    report("Text.of: 1.3 million units", lambda: Text.of(big))
    report("str: 1.3 million units", partial(str, text))
    report("crc32: 1.3 million units", text.crc32)


def report(name: str, operation: Callable[[], object]) -> None:
    operation()
    best = float("inf")
    for _ in range(ROUNDS):
        count, start = 0, perf_counter()
        while (passed := perf_counter() - start) < ROUND_S:
            for _ in range(20):
                operation()
            count += 20
        best = min(best, passed / count)
    print(f"{name:40} {best * 1e6:12.3f} µs")


if __name__ == "__main__":
    main()
