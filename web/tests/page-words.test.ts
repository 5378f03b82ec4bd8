import { expect, test } from "vitest";
import type { Status } from "../src/binding/index.ts";
import type { State, StopReason, Why } from "../src/connection/index.ts";
import { ago, secondsUntil } from "../src/page/time.ts";
import { countInWords, initials, inWords, refusalInWords } from "../src/page/words.ts";

const NOW = new Date(2026, 10, 22, 15, 0, 0);

test.each<[Date, string]>([
  [new Date(2026, 10, 22, 15, 0, 20), "just now"], // their clock is ahead
  [new Date(2026, 10, 22, 14, 59, 30), "just now"],
  [new Date(2026, 10, 22, 14, 59, 0), "1 minute ago"],
  [new Date(2026, 10, 22, 14, 1, 0), "59 minutes ago"],
  [new Date(2026, 10, 22, 14, 0, 0), "1 hour ago"],
  [new Date(2026, 10, 22, 0, 5, 0), "14 hours ago"],
  [new Date(2026, 10, 21, 23, 0, 0), "yesterday"],
  [new Date(2026, 10, 21, 0, 5, 0), "yesterday"],
  [new Date(2026, 10, 16, 12, 0, 0), "6 days ago"],
  [new Date(2026, 10, 15, 12, 0, 0), "on November 15"],
  [new Date(2025, 0, 2, 12, 0, 0), "on January 2, 2025"],
])("%s is %s", (then, words) => {
  expect(ago(then, NOW)).toBe(words);
});

test("shortly after midnight, the evening before is hours ago and not yesterday", () => {
  const past = new Date(2026, 10, 21, 23, 0, 0);
  expect(ago(past, new Date(2026, 10, 22, 1, 0, 0))).toBe("2 hours ago");
});

test("seconds are counted up to the next whole one, and never below nothing", () => {
  expect([1, 999, 1000, 1001, 5000].map((until) => secondsUntil(until, 0))).toEqual([
    1, 1, 1, 2, 5,
  ]);
  expect(secondsUntil(0, 10)).toBe(0);
});

test("names have initials, whatever they are", () => {
  expect(
    ["Ada Lovelace", "ada", "  Jean Luc  Picard ", "", "👩‍🚀 Sally", "Ångström"].map(initials),
  ).toEqual(["AL", "A", "JP", "?", "👩‍🚀S", "Å"]);
});

test("what was found is said in words", () => {
  expect(countInWords(1, false, "")).toBe("1 document");
  expect(countInWords(50, true, "")).toBe("50+ documents");
  expect(countInWords(0, false, "x")).toBe("Nothing found for “x”");
});

function said(
  connection: State,
  saved: boolean,
  kept = true,
  online = true,
  cut: Why | null = null,
  offered = false,
) {
  return inWords({ connection, saved, kept } satisfies Status, online, cut, offered);
}

const live: State = {
  kind: "live",
  client: "c",
  session: "s",
  role: "editor",
  limits: {
    max_message_bytes: 1,
    max_document_units: 1,
    max_updates_per_push: 1,
    max_sections_per_push: 1,
    max_ranges: 1,
    pushes_per_second: 1,
    presence_hz: 1,
    heartbeat_s: 1,
  },
};
const waiting: State = { kind: "waiting", until: 0, why: "lost" };

test("S2: only what is saved is called saved, in every state", () => {
  const reasons: StopReason[] = [
    "closed",
    "unauthorized",
    "forbidden",
    "deleted",
    "not_found",
    "replaced",
  ];
  const states: State[] = [
    { kind: "connecting", step: "token" },
    live,
    waiting,
    ...reasons.map((reason) => ({ kind: "stopped" as const, reason })),
  ];
  for (const state of states) {
    const words = said(state, false, true, true, "lost");
    expect(words.short).not.toBe("Saved");
    expect(words.trouble?.so ?? "").not.toContain("All is saved");
  }
  expect(said(live, true)).toEqual({ tone: "calm", short: "Saved", trouble: null });
  expect(said(live, false).short).toBe("Saving…");
});

test("nothing is called kept that this browser does not keep", () => {
  expect(said(waiting, false).trouble?.so).toContain("kept on this device");
  expect(said(waiting, false, false).trouble?.so).toContain("Keep this page open");
});

test("the first connecting is no trouble; one after a cut goes on being the cut", () => {
  const connecting: State = { kind: "connecting", step: "handshake" };
  expect(said(connecting, true).trouble).toBe(null);
  expect(said(connecting, true, true, true, "lost")).toEqual(said(waiting, true));
});

test("without a network it is the network that is named", () => {
  expect(said(waiting, true, true, false)).toMatchObject({
    short: "Offline",
    trouble: { what: "You are offline." },
  });
});

test("whoever is stopped with something unsaved is told to copy it first", () => {
  const words = said({ kind: "stopped", reason: "forbidden" }, false);
  expect(words.tone).toBe("stopped");
  expect(words.trouble?.so).toMatch(/^Your last changes are not saved: copy/);
});

test("what is offered below is not asked to be copied from the text, where it is no more", () => {
  const words = said({ kind: "stopped", reason: "deleted" }, true, true, true, null, true);
  expect(words.short).toBe("Not saved");
  expect(words.trouble?.so).toMatch(/^What you typed and was not taken is below/);
});

test("whoever is signed out is told what becomes of the text that is kept", () => {
  const signedOut: State = { kind: "stopped", reason: "unauthorized" };
  expect(said(signedOut, true).trouble?.so).toBe("Sign in to go on.");
  expect(said(signedOut, false).trouble?.so).toContain("kept on this device");
  expect(said(signedOut, false, false).trouble?.so).toMatch(/^Your last changes are not saved/);
});

test.each([
  ["forbidden", "You may read this document, and not write in it any more."],
  ["access_lost", "You lost access before the server said that it has them."],
  ["document_full", "The server says: no room."],
])("a text that was refused as %s is explained", (code, words) => {
  const { so } = refusalInWords({ code, message: "no room" });
  expect(so).toContain(words);
  expect(so).toContain("Nothing is lost");
});
