import { ChangeSet } from "@codemirror/state";
import { expect, test } from "vitest";
import { Random } from "../session/random.ts";
import { type Changes, mapPosition, mapRange } from "../src/connection/index.ts";

/** Some change of a text of `length` units. */
function anyChange(random: Random, length: number): ChangeSet {
  const specs = Array.from({ length: 1 + random.below(4) }, () => {
    const ends = [random.below(length + 1), random.below(length + 1)].sort((a, b) => a - b);
    const [from = 0, to = from] = ends;
    return {
      from,
      to: random.chance(50) ? from : to,
      insert: random.pick(["", "x", "\n", "a\nb"]),
    };
  });
  return specs.reduce((all, spec) => all.compose(within(all, spec)), ChangeSet.empty(length));
}

function within(
  all: ChangeSet,
  { from, to, insert }: { from: number; to: number; insert: string },
) {
  const length = all.newLength;
  return ChangeSet.of({ from: Math.min(from, length), to: Math.min(to, length), insert }, length);
}

test("A1 positions go where the library's mapPos takes them, on either side", () => {
  const random = new Random(1);
  for (let round = 0; round < 3_000; round++) {
    const length = random.below(12);
    const change = anyChange(random, length);
    const wire = change.toJSON() as Changes;
    for (let at = 0; at <= length; at++) {
      const found = [mapPosition(wire, at, "before"), mapPosition(wire, at, "after")];
      expect([wire, at, ...found]).toEqual([wire, at, change.mapPos(at, -1), change.mapPos(at, 1)]);
    }
  }
});

test("A1 a position outside the text goes to its end", () => {
  expect(mapPosition([2, [0, "xy"]], 9, "before")).toBe(4);
});

test.each<[string, [number, number], Changes, boolean, [number, number]]>([
  ["a cursor stays before what others insert at it", [2, 2], [2, [0, "x"], 2], false, [2, 2]],
  ["a cursor goes along with what is typed at it", [2, 2], [2, [0, "x"], 2], true, [3, 3]],
  ["both ends stay before what is inserted", [1, 3], [1, [0, "x"], 2, [0, "y"], 1], false, [1, 4]],
  ["a selection keeps its direction", [3, 1], [[0, "x"], 4], false, [4, 2]],
  ["a selection of what is deleted is a cursor", [1, 3], [1, [2], 1], false, [1, 1]],
])("%s", (_, range, changes, typed, expected) => {
  expect(mapRange(range, (at, side) => mapPosition(changes, at, side), typed)).toEqual(expected);
});
