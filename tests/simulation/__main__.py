"""Run many seeds: `python -m tests.simulation --seeds 1-1000 --processes 2`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import warnings

from tests.simulation.chunk import CHUNK, run
from tests.simulation.world import Failure, World

TOLD_EVERY = 1_000


def trace(seed: int) -> int:
    """Print a world step by step."""
    warnings.simplefilter("ignore")
    world = World(seed)
    try:
        world.run()
    except Failure as failure:
        print("\n".join(world.trace), f"{seed}: {failure.what}", sep="\n")
        return 1
    print("\n".join(world.trace))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", default="1-100", help="one, or the first and the last")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--trace", action="store_true", help="print one seed's world")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    if options.trace:
        return trace(int(first))
    seeds = range(int(first), int(last or first) + 1)
    chunks = [seeds[place : place + CHUNK] for place in range(0, len(seeds), CHUNK)]
    count, failed, cpu_s = 0, 0, 0.0
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for told in pool.imap_unordered(run, chunks):
            count += told.seeds
            failed += len(told.failures)
            cpu_s += told.cpu_s
            for seed, what in told.failures.items():
                print(f"{seed}: {what}", flush=True)
            if count % TOLD_EVERY == 0 or count == len(seeds):
                each_ms = cpu_s / count * 1000
                print(f"{count} seeds, {failed} failed, {each_ms:.0f} ms each", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
