"""What the server's own code takes for a push, a delivery and a handshake, in processor time.

    python -m bench.hot [--rounds 5] [--only judge] [--json figures.json] [--vs earlier.json]

The whole server runs in this process, and its clients without sockets (`bench.in_process`). In each
document some sessions push one letter each, on a revision that lies as many updates back as there
are typists; then all are told that it is saved. Then one client after the other opens a document:
one that is open already, and one that is not. Below stand the steps of a push, by themselves. All
times are processor times, the best of several rounds, so that they say something beside other work
too. With `--vs` they stand beside those that `--json` has kept of another run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
from itertools import count, cycle, islice
from pathlib import Path
from time import process_time, thread_time
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop

from bench.figures import ratio, table
from bench.in_process import server
from collab.live import messages
from collab.log.entry import Entry, Point, first_mark, next_mark
from collab.logs import set_up
from collab.rooms.history import History
from collab.rooms.room import Room
from collab.settings import Limits
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bench.in_process import Document, Server

Figures = dict[str, float]
"""µs, by what took them."""

CROWDS = [2, 100, 200, 500, 1_000]
READERS = 1_500
DISTANCES = 2, 10, 100, 1_000
WARM_UP_ROUNDS = 2
UNITS = 20_000
MARK = "0" * 40


# -- The whole server ----------------------------------------------------------------------------


async def whole(options: argparse.Namespace) -> Figures:
    """A push and all its deliveries, among so many typists and readers."""
    crowds = [(f"{people} type", people, people) for people in options.crowds]
    crowds.append((f"1 types, {options.readers} read", 1, options.readers + 1))
    found: Figures = {}
    for name, typists, sessions in crowds:
        if options.only in name:
            async with server() as one, one.document(UNITS, sessions) as document:
                took = await _typed(document, typists, options)
            found[name], found[f"{name}: without the writer"] = took
    return found


async def _typed(
    document: Document, typists: int, options: argparse.Namespace
) -> tuple[float, float]:
    """Processor µs for a push in the best round: of all threads, and of the event loop's."""
    chance = random.Random(typists)
    turns = -(-options.pushes // typists)
    took, took_here = [], []
    for _ in range(WARM_UP_ROUNDS + options.rounds):
        gc.collect()
        spent = [await _push_once(document, typists, chance) for _ in range(turns)]
        took.append(sum(each for each, _ in spent))
        took_here.append(sum(each for _, each in spent))
    each = 1e6 / (turns * typists)
    return each * min(took[WARM_UP_ROUNDS:]), each * min(took_here[WARM_UP_ROUNDS:])


async def _push_once(
    document: Document, typists: int, chance: random.Random
) -> tuple[float, float]:
    """Everybody who types pushes at once, each over as many updates as there are typists."""
    document.expect(document.revision + typists)
    pushes = []
    for client in document.clients[:typists]:
        base = max(document.revision - typists, 1)
        pushes.append((client, client.push(base, document.letter(base, chance))))
        document.revision += 1
    began, began_here = process_time(), thread_time()
    for client, push in pushes:
        client.receive(push)
    await document.arrived()
    return process_time() - began, thread_time() - began_here


# -- A handshake ---------------------------------------------------------------------------------


async def handshakes(options: argparse.Namespace) -> Figures:
    """A fresh start, from the request until the welcome is written."""
    found: Figures = {}
    for name, anew in (("join a document that is open", False), ("open a document", True)):
        if options.only in name:
            async with server() as one:
                took = await _joined(one, options, anew=anew)
            found[name], found[f"{name}: the event loop alone"] = took
    return found


async def _joined(one: Server, options: argparse.Namespace, *, anew: bool) -> tuple[float, float]:
    """Processor µs for a handshake in the best round: of all threads, and of the event loop's. With
    `anew`, each is for another document, which nobody has open.
    """
    numbers, wanted = count(), options.handshakes
    paths = [await one.create(UNITS)] * wanted
    took, took_here = [], []
    for _ in range(WARM_UP_ROUNDS + options.rounds):
        if anew:
            paths = [await one.create(UNITS) for _ in range(wanted)]
        gc.collect()
        began, began_here = process_time(), thread_time()
        for path in paths:
            await one.come_and_go(path, next(numbers))
        took.append(process_time() - began)
        took_here.append(thread_time() - began_here)
    each = 1e6 / wanted
    return each * min(took[WARM_UP_ROUNDS:]), each * min(took_here[WARM_UP_ROUNDS:])


# -- Its steps -----------------------------------------------------------------------------------


class Step(NamedTuple):
    """What is done with each of some things, which are made ready before."""

    name: str
    do: Callable[[Any], object]
    things: Iterable[Any]
    repeat: int = 1_000


def steps() -> Iterator[Step]:
    limits = Limits()
    message = '{"type":"push","revision":9000,"seq":12,"updates":[[4000,[0,"x"],16000]]}'

    def decode(data: str) -> None:
        push = messages.decode(data)
        assert isinstance(push, messages.Push)
        messages.parse_updates(push.updates, limits)

    yield Step("decode", decode, cycle([message]))
    room = grown(max(DISTANCES) + 100)
    entries = pushes(room, 10, "x")
    yield Step(
        "encode an entry, and its mark", lambda each: next_mark(MARK, each.encode()), entries
    )
    for kind, letters in (("a letter", "x"), ("3 letters", "xyz")):
        for distance in DISTANCES:
            entries = pushes(room, distance, letters)
            yield Step(f"judge {kind} over {distance}", room.judge, entries, 200)

    def judge_and_apply(entry: Entry) -> None:
        room.judge(entry)
        room.apply(entry, MARK)

    yield Step("judge and apply a letter", judge_and_apply, typing(room))


def timed(step: Step, rounds: int) -> float:
    """Processor µs for one thing, in the best round."""
    took = []
    for _ in range(1 + rounds):
        things = list(islice(step.things, step.repeat))
        gc.collect()
        began = process_time()
        for thing in things:
            step.do(thing)
        took.append(process_time() - began)
    return 1e6 * min(took[1:]) / step.repeat


def grown(updates: int) -> Room:
    """A room in which several people have typed letters, with a correction now and then."""
    chance = random.Random(updates)
    room = Room(Text.of("x" * UNITS), History(Point(0, first_mark("hot"), 0)))
    for seq in range(updates):
        length = len(room.text)
        at = chance.randint(0, length - 1)
        deleted = int(seq % 8 == 0)
        change = Change.replace(length, at, at + deleted, "" if deleted else "x")
        room.apply(Entry(f"client {seq % 50}", seq, seq, (change,), "ada", 1), MARK)
    return room


def pushes(room: Room, distance: int, letters: str) -> Iterator[Entry]:
    """New pushes without end, so many updates behind: letters typed one after the other."""
    chance = random.Random(distance)
    seq = 1_000_000
    base = room.revision - distance
    length = room.history.since(base)[0].length
    while True:
        seq += 1
        at = chance.randint(0, length)
        updates = tuple(
            Change.replace(length + more, at + more, at + more, letter)
            for more, letter in enumerate(letters)
        )
        yield Entry("newcomer", seq, base, updates, "eve", 1)


def typing(room: Room) -> Iterator[Entry]:
    """One push after the other, each of which is to be applied before the next."""
    revision, length = room.revision, len(room.text)
    for seq in count():
        change = Change.replace(length + seq, length // 2, length // 2, "x")
        yield Entry("newcomer", seq, revision + seq, (change,), "eve", 1)


# -- The report ----------------------------------------------------------------------------------


def report(found: Figures, earlier: Figures | None) -> str:
    rows = []
    for name, micros in found.items():
        cells = [name, f"{micros:.1f}"]
        if earlier is not None:
            before = earlier.get(name, 0.0)
            cells += [f"{before:.1f}", ratio(micros, before)]
        rows.append(cells)
    head = ["", "µs"] if earlier is None else ["", "µs", "earlier", "ratio"]
    return table(head, rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What the server takes for a push or a handshake.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pushes", type=int, default=200, help="at least so many in a round")
    parser.add_argument("--crowds", type=int, nargs="*", default=CROWDS, help="numbers of typists")
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument("--handshakes", type=int, default=200, help="so many in a round")
    parser.add_argument("--only", default="", help="what has this in its name")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument("--vs", type=Path, help="figures that another run has kept")
    options = parser.parse_args(arguments)
    earlier = None if options.vs is None else json.loads(options.vs.read_text())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(whole(options)) | runner.run(handshakes(options))
    for step in steps():
        if options.only in step.name:
            found[step.name] = timed(step, options.rounds)
    print(report(found, earlier))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    set_up("error", sys.stderr)
    sys.exit(main())
