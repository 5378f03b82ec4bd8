import { expect, test } from "vitest";
import { runSession } from "../session/run.ts";
import { Authority } from "./support/authority.ts";

/**
 * Whole sessions against the model, on a clock of its own: every seed is the same each time.
 * `SEEDS=1-5000 npm test` looks further.
 */
const [first = 1, last = 40] = (process.env.SEEDS ?? "").split("-").filter(Boolean).map(Number);
const OPTIONS = { editors: 5, edits: 40, latency_ms: 150, patience_ms: 30_000 };

test.each(Array.from({ length: last - first + 1 }, (_, i) => first + i))(
  "session %i: whatever is cut, late or begun anew, all end with one text and all that was typed",
  async (seed) => {
    const authority = new Authority(seed);
    authority.refusing = seed % 3 === 0 ? 20 : 0;
    const session = runSession(authority, seed, OPTIONS);
    let over = false;
    session.finally(() => {
      over = true;
    });
    while (!over) await authority.clock.pass(100);
    const { failures, tally } = await session;
    expect(failures).toEqual([]);
    expect(tally.cuts).toBeGreaterThan(0);
  },
);
