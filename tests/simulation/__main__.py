"""Run many seeds: `python -m tests.simulation --seeds 1-1000`."""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings

from tests.simulation.world import Failure, World


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", default="1-100")
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    first, _, last = options.seeds.partition("-")
    failures = 0
    gc.disable()
    began = time.process_time()
    for count, seed in enumerate(range(int(first), int(last or first) + 1), 1):
        world = World(seed)
        try:
            world.run()
        except Failure as failure:
            failures += 1
            _say(f"{seed}: {failure.what}")
        if options.trace:
            _say("\n".join(world.trace))
        if count % 20 == 0:
            gc.collect()
    spent = time.process_time() - began
    _say(f"{count} seeds, {failures} failed, {spent / count * 1000:.0f} ms of processor each")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
