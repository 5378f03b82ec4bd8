import { expect, test } from "vitest";
import { endOf, LIFETIMES } from "../src/page/lifetimes.ts";
import { rightsOf, secretIn, usernameIn, writes } from "../src/page/sharing.ts";
import { untilInWords } from "../src/page/time.ts";

const NOW = new Date(2026, 10, 22, 15, 0, 0);

test("a fragment is a share link's secret, or a document's ID", () => {
  expect(secretIn("link=abc-_9")).toBe("abc-_9");
  expect(secretIn("c5mp2xkzq7wj4tnsv3yhrd6fbe")).toBeNull();
  expect(secretIn("")).toBeNull();
});

test("a person is named with or without the @, in any case", () => {
  expect(["ada", "@ada", " @Ada ", "a@b.test"].map(usernameIn)).toEqual([
    "@ada",
    "@ada",
    "@ada",
    "@a@b.test",
  ]);
});

test.each([
  ["owner", { shares: true, seesMembers: true, leaves: false }, true],
  ["editor", { shares: false, seesMembers: true, leaves: true }, true],
  ["commenter", { shares: false, seesMembers: false, leaves: true }, false],
  ["viewer", { shares: false, seesMembers: false, leaves: true }, false],
] as const)("the page offers the %s what the server lets them do", (role, rights, may) => {
  expect(rightsOf(role)).toEqual(rights);
  expect(writes(role)).toBe(may);
});

test("a link holds for as long as was chosen, or for good", () => {
  const ends = LIFETIMES.map(([lifetime]) => endOf(lifetime, NOW));
  const hours = ends.map((end) => end && (Date.parse(end) - NOW.getTime()) / 3_600_000);
  expect(hours).toEqual([null, 1, 24, 7 * 24, 30 * 24]);
});

test("when something ends is said as a time of today, or as a date", () => {
  const at = (hours: number) => new Date(NOW.getTime() + hours * 3_600_000);
  expect(untilInWords(null, NOW)).toBe("does not expire");
  expect(untilInWords(at(-1), NOW)).toBe("has expired");
  expect(untilInWords(at(1), NOW).replace(/\s/g, " ")).toBe("expires at 4:00 PM");
  expect(untilInWords(at(48), NOW)).toMatch(/^expires on (November 24|24 November)$/);
});
