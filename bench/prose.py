"""Text that deflates about as prose does: to about a third of its length."""

from __future__ import annotations

import random
import string
from itertools import accumulate

WORDS = 8_000
WORDS_PER_LINE = 12


def prose(units: int, seed: int = 0) -> str:
    """So many units of made-up words, the frequent ones frequent, in lines. ASCII."""
    chance = random.Random(seed)
    words = [
        "".join(chance.choices(string.ascii_lowercase, k=chance.randint(1, 10)))
        for _ in range(WORDS)
    ]
    weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    lines: list[str] = []
    left = units
    while left > 0:
        lines.append(" ".join(chance.choices(words, cum_weights=weights, k=WORDS_PER_LINE)))
        left -= len(lines[-1]) + 1
    return "\n".join(lines).ljust(units)[:units]
