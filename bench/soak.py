"""Many people who come, type, are cut off, come back and leave: what grows, and is anything lost?

    python -m bench.soak [--minutes 10] [--editors 100] [--documents 10] [--every 10]

Each editor opens one document after another, inserts one or two tokens a second, and is cut off now
and then; it leaves in good order, or vanishes with what it has typed. The server's memory and open
files are sampled every so many seconds; their slopes leave out the warm-up. The documents begin
with a history of `--fill` updates, as many as a server keeps in memory. What was read from the
database takes less memory than what came in since, so that memory may grow until every document has
had as many updates again; from then on what grows is a leak.

The exit code is 1 unless, in the end, every editor and REST show the same text, with every
acknowledged insertion in it exactly once; no session and no socket remains when all have left;
SIGTERM ends the server with 0; its log has no warning; and started anew it shows the same texts.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench import scratch
from bench.crowd import Crowd
from bench.figures import mb, own_cpu_s, slope
from bench.ledger import WIDTH, together
from bench.long_history import AUTHOR, typed
from bench.server import running
from collab.api import services
from collab.settings import Settings
from collab.text import Change

if TYPE_CHECKING:
    from pathlib import Path

    from bench.server import ServerProcess

FILL_STEP = 250
"""Documents differ in the length of their history, so that they are not all cut at once."""
WARM_UP_S = 120.0
WARM_UP_SHARE = 0.2
"""The longest warm-up, as a share of the whole."""
SAMPLES_PER_LINE = 6
EMPTY_S = 60.0
POLL_S = 0.2


class Sample(NamedTuple):
    at_s: float
    rss_bytes: int
    open_files: int


class Watch:
    """The server's memory and open files, sampled while people type."""

    def __init__(self, server: ServerProcess, crowd: Crowd) -> None:
        self.samples: list[Sample] = []
        self._server = server
        self._crowd = crowd

    async def run(self, seconds: float, every_s: float) -> None:
        """Sample for so long, and print a line now and then."""
        began = time.perf_counter()
        shown = 0
        while (now := time.perf_counter() - began) < seconds:
            self.samples.append(Sample(now, self._server.rss_bytes, len(self._server.open_files)))
            if len(self.samples) - shown == SAMPLES_PER_LINE:
                self._show(self.samples[shown:])
                shown = len(self.samples)
            await asyncio.sleep(min(every_s, seconds - now))
        if shown < len(self.samples):
            self._show(self.samples[shown:])

    def _show(self, samples: list[Sample]) -> None:
        memory = " ".join(f"{mb(sample.rss_bytes):>6}" for sample in samples)
        files = " ".join(f"{sample.open_files:>4}" for sample in samples)
        at, typed = samples[-1].at_s, self._crowd.typed
        print(f"{at:5.0f} s  MB {memory}  files {files}  typed {typed}", flush=True)

    def slopes(self) -> str:
        """What grew after the warm-up, and what in the last quarter."""
        end = self.samples[-1].at_s
        warm_at = min(WARM_UP_S, WARM_UP_SHARE * end)
        return "\n".join(self._slopes_since(at) for at in (warm_at, 0.75 * end))

    def _slopes_since(self, at_s: float) -> str:
        since = [sample for sample in self.samples if sample.at_s >= at_s]
        memory = slope([(sample.at_s / 60, sample.rss_bytes) for sample in since])
        files = slope([(sample.at_s / 60, sample.open_files) for sample in since])
        return (
            f"after {at_s:.0f} s, {len(since)} samples: {memory / 1e6:+.2f} MB a minute, "
            f"{files:+.2f} open files a minute"
        )


async def measure(options: argparse.Namespace, data_dir: Path) -> bool:
    """Let them type, print what was seen, and tell whether every promise was kept."""
    wrong: list[str] = []
    began = time.perf_counter()
    documents, token = await histories(data_dir / "data", options.documents, options.fill)
    print(f"histories made in {time.perf_counter() - began:.0f} s", flush=True)
    async with running(data_dir, COLLAB_LOG_LEVEL="warning") as server:
        sockets = _sockets(server)
        crowd = Crowd(server, token, documents)
        watch = Watch(server, crowd)
        began, server_s, own_s = time.perf_counter(), server.cpu_s, own_cpu_s()
        seconds = 60 * options.minutes
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(seconds, options.every), name="watch")
            await crowd.run(options.editors, seconds)
        took_s = time.perf_counter() - began
        print(watch.slopes())
        print(
            f"cpu: server {(server.cpu_s - server_s) / took_s:.0%}, "
            f"editors {(own_cpu_s() - own_s) / took_s:.0%} of a core"
        )
        report(crowd, options.editors, wrong)
        await empty(server, crowd, sockets, wrong)
        await end(server, crowd, wrong)
    for each in wrong:
        print("WRONG:", each)
    return not wrong


async def histories(data_dir: Path, documents: int, updates: int) -> tuple[list[str], str]:
    """Documents without a text, but with a history of things that came and went; and a token."""
    there = Change.replace(0, 0, 0, "x" * WIDTH)
    gone = Change.replace(WIDTH, 0, WIDTH, "")
    async with services.running(Settings(data_dir=data_dir), time.time) as serving:
        made = [
            await typed(serving, "", [there, gone] * ((updates + number * FILL_STEP) // 2))
            for number in range(documents)
        ]
        token, _ = serving.tokens.issue(AUTHOR)
    return [each.id for each in made], token


def report(crowd: Crowd, editors: int, wrong: list[str]) -> None:
    """Print what the editors did and what became of it."""
    verdict = together(
        [ledger.judge(crowd.shown[document].text) for document, ledger in crowd.ledgers.items()]
    )
    units = [len(seen.text) for seen in crowd.shown.values()]
    print(
        f"{crowd.visits} visits, {crowd.cuts} cuts, {crowd.vanished} vanished; "
        f"texts of {min(units)} to {max(units)} units"
    )
    print(f"{crowd.equal_editors} of {editors} editors show what REST shows")
    print(
        f"{verdict.acknowledged} insertions acknowledged: {verdict.lost} lost, "
        f"{verdict.doubled} doubled, {verdict.unknown} that nobody made; "
        f"{verdict.unanswered} unanswered, {verdict.unanswered_there} of them there"
    )
    if crowd.equal_editors != editors:
        wrong.append("editors show another text than REST")
    if not verdict.is_good:
        wrong.append("insertions are not there exactly once")


async def empty(server: ServerProcess, crowd: Crowd, sockets: int, wrong: list[str]) -> None:
    """Wait until nothing remains of those who left."""
    began = time.perf_counter()
    while (sessions := await crowd.editors()) or _sockets(server) > sockets:
        if time.perf_counter() - began > EMPTY_S:
            wrong.append(f"{sessions} sessions and {_sockets(server) - sockets} sockets remain")
            return
        await asyncio.sleep(POLL_S)  # nobody tells of it
    files, memory = len(server.open_files), mb(server.rss_bytes)
    print(f"no session and no socket remains; {files} files are open, {memory} MB held")


async def end(server: ServerProcess, crowd: Crowd, wrong: list[str]) -> None:
    """Stop the server, look at its log, and start it anew."""
    code = await server.stop()
    said = [
        line for line in server.log.read_text().splitlines() if not line.startswith("Collab is")
    ]
    print(f"SIGTERM ended it with {code}; lines in its log: {len(said)}")
    if code != 0:
        wrong.append(f"the server ended with {code}")
    wrong += [f"it logged {line[:300]}" for line in said[:5]]
    await server.start()
    shown = {document: await crowd.look(document) for document in crowd.shown}
    same = sum(shown[document] == seen for document, seen in crowd.shown.items())
    print(f"started anew it shows {same} of {len(shown)} texts")
    if same != len(shown):
        wrong.append("texts are not the same after a restart")
    await server.stop()


def _sockets(server: ServerProcess) -> int:
    return sum(1 for file in server.open_files if file.startswith("socket:"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Let many people type, come and go for long.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--editors", type=int, default=100)
    parser.add_argument("--documents", type=int, default=10)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two samples")
    parser.add_argument("--fill", type=int, default=10_000, help="updates before anyone types")
    options = parser.parse_args(arguments)
    return 0 if scratch.run(partial(measure, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
