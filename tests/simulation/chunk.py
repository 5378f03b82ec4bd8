"""Many seeds, a chunk at a time, in whatever process."""

from __future__ import annotations

import gc
import time
import warnings
from typing import NamedTuple

from tests.simulation.world import Failure, World

CHUNK = 50
"""Seeds that a process runs before it tells."""


class Told(NamedTuple):
    """What came of a chunk: `failures` by seed, `cpu_s` is processor time."""

    seeds: int
    failures: dict[int, str]
    cpu_s: float


def run(chunk: range) -> Told:
    warnings.simplefilter("ignore")
    gc.disable()
    began = time.process_time()
    failures = {}
    for seed in chunk:
        try:
            World(seed).run()
        except Failure as failure:
            failures[seed] = failure.what
    gc.collect()
    return Told(len(chunk), failures, time.process_time() - began)
