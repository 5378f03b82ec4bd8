import { ChangeSet, Text } from "@codemirror/state";
import { expect, test } from "vitest";
import { Random } from "../session/random.ts";
import { diff } from "../src/binding/diff.ts";

/** The differences as `from-to:insert`. */
function differences(before: string, after: string): string {
  return diff(before, after)
    .map(({ from, to, insert }) => `${from}-${to}:${insert}`)
    .join(" ");
}

test.each([
  ["", "", ""],
  ["same", "same", ""],
  ["", "new", "0-0:new"],
  ["old", "", "0-3:"],
  ["one two", "one and two", "4-4:and "],
  ["aXbYc", "abc", "1-4:b"],
  ["a X b Y c", "a b c", "2-4: 5-7:"],
  ["aab", "ab", "1-2:"],
  ["we recieve it, do we", "we recieves it, so we", "10-10:s 15-16:s"],
  ["the end", "a hen and then the very end", "0-0:a hen and then  3-3: very"],
  ["我们在这里", "我在那里", "1-2: 3-4:那"],
  ["one\ntwo\nsix", "one\n2\nsix", "4-7:2"],
])("from %j to %j", (before, after, expected) => {
  expect(differences(before, after)).toBe(expected);
});

test.each([
  ["😀", "😂", "0-2:😂"], // they share the first half
  ["a😀b", "a😂b", "1-3:😂"],
  ["𐐀", "𠐀", "0-2:𠐀"], // and these the last
  ["x😀😀y", "x😀y", "3-5:"],
  ["word😀", "words😂", "4-6:s😂"],
])("no pair is cut from %j to %j", (before, after, expected) => {
  expect(differences(before, after)).toBe(expected);
});

test("any two texts: applied to the one, the differences make the other", () => {
  const random = new Random(1);
  const alphabet = ["a", "b", " ", "\n", "😀", "😂", "𐐀", "𠐀"];
  const some = (most: number) =>
    Array.from({ length: random.below(most) }, () => random.pick(alphabet)).join("");
  for (let round = 0; round < 3_000; round++) {
    const before = some(20);
    const after = random.chance(50) ? some(20) : before.replace(random.pick(alphabet), some(4));
    const found = diff(before, after);
    const made = ChangeSet.of(found, before.length).apply(Text.of(before.split("\n")));
    expect(made.toString(), JSON.stringify([before, after])).toBe(after);
    for (const [i, { from, to, insert }] of found.entries()) {
      expect(insert.isWellFormed() && before.slice(from, to).isWellFormed()).toBe(true);
      // Apart: something is kept between one and the next.
      if (i > 0) expect(from).toBeGreaterThan(found[i - 1]?.to ?? 0);
    }
  }
});

test("texts that differ in too many places are compared by lines", () => {
  const lines = Array.from({ length: 400 }, (_, i) => `line ${i} is here\n`);
  const before = lines.join("");
  const after = lines.map((line, i) => (i % 2 ? line.toUpperCase() : line)).join("");
  const found = diff(before, after);
  expect(found.length).toBe(200);
  for (const { from, to } of found) expect(before.slice(from, to)).toMatch(/^line \d+ is here\n$/);
});

test("texts that have nothing in common are one replacement, soon found", () => {
  const before = "a\n".repeat(200_000);
  const after = "b\n\n".repeat(150_000);
  expect(diff(`<\n${before}>`, `<\n${after}>`)).toEqual([
    { from: 2, to: before.length + 2, insert: after },
  ]);
});
