import { parseArgs } from "node:util";
import { type Outcome, runSession } from "./run.ts";
import { Servers } from "./server.ts";
import { MOST_TYPISTS, TOKENS_EACH } from "./typist.ts";

const USAGE = `Whole sessions of real editors on a real server, or on several.

  node dist-session/session.js [options]

  --server URL     where the server is (http://127.0.0.1:8000); may be given for each of several
  --seeds LIST     seeds and ranges of them: 1-1000 or 7,42,100-110 (1-16)
  --editors N      editors a session, 16 at most (6)
  --edits N        edits an editor, 1000 at most (40)
  --latency MS     what a message takes at most, each way (150)
  --parallel N     sessions at a time (16)
  --patience MS    how long a session may take to come to rest (30000)
  --quiet          only failures and the sum

A line per seed; the exit status is 1 if any failed. A seed draws the same edits, cuts and delays
each time; what the network and the servers take is not in its hands.
`;

const { values } = parseArgs({
  options: {
    server: { type: "string", multiple: true, default: ["http://127.0.0.1:8000"] },
    seeds: { type: "string", default: "1-16" },
    editors: { type: "string", default: "6" },
    edits: { type: "string", default: "40" },
    latency: { type: "string", default: "150" },
    parallel: { type: "string", default: "16" },
    patience: { type: "string", default: "30000" },
    quiet: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  process.stdout.write(USAGE);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const servers = new Servers(values.server);
  const options = {
    editors: Math.min(whole("editors"), MOST_TYPISTS),
    edits: Math.min(whole("edits"), TOKENS_EACH),
    latency_ms: whole("latency"),
    patience_ms: whole("patience"),
  };
  const seeds = readSeeds(values.seeds);
  const total = seeds.length;
  let failed = 0;
  const work = async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      const outcome = await attempt(seed, () => runSession(servers, seed, options));
      const ok = outcome.failures.length === 0;
      if (!ok) failed++;
      if (!ok || !values.quiet) process.stdout.write(describe(outcome));
    }
  };
  await Promise.all(Array.from({ length: whole("parallel") }, work));
  process.stdout.write(`${total - failed} of ${total} sessions ok\n`);
  return failed === 0 ? 0 : 1;
}

/** A session that could not even be held has failed as well. */
async function attempt(seed: number, hold: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await hold();
  } catch (error) {
    const tally = { reloads: 0, cuts: 0, resumes: 0, resets: 0, fresh: 0, ordered: 0, void: 0 };
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { seed, revision: 0, took_ms: 0, tally, failures: [why] };
  }
}

function describe({ seed, revision, took_ms, tally, failures }: Outcome): string {
  const line = [
    `seed ${seed}`,
    failures.length === 0 ? "ok" : "FAILED",
    `revision ${revision}`,
    ...Object.entries(tally).map(([name, count]) => `${name} ${count}`),
    `${(took_ms / 1000).toFixed(1)} s`,
  ].join("  ");
  return [line, ...failures.map((failure) => `    ${failure}`), ""].join("\n");
}

function readSeeds(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (!first) throw new RangeError(`no seed and no range of seeds: ${part}`);
    const from = Number(first);
    return Array.from({ length: Number(last ?? first) - from + 1 }, (_, i) => from + i);
  });
}

function whole(name: "editors" | "edits" | "latency" | "parallel" | "patience"): number {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`--${name}: ${values[name]}`);
  return value;
}
