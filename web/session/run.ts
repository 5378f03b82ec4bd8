import type { Backend } from "./backend.ts";
import type { Tally, Weather } from "./network.ts";
import { Participant } from "./participant.ts";
import { Random } from "./random.ts";
import { ANCHOR, countTokens } from "./typist.ts";

export interface SessionOptions {
  readonly editors: number;
  readonly edits: number;
  readonly latency_ms: number;
  /** How long all may take to come to rest after the last fault. */
  readonly patience_ms: number;
}

export interface Outcome {
  readonly seed: number;
  readonly revision: number;
  readonly took_ms: number;
  readonly tally: Tally;
  /** Empty: all is well. */
  readonly failures: readonly string[];
}

/** Percent of the faults that are a page loaded again; the rest are cuts of the network. */
const RELOADS = 15;
/** Between two edits of one person, at most. */
const THINK_MS = 50;
/** Between two cuts of one network, at most. */
const CALM_MS = 1_200;
const PAUSE_MS = 500;

/**
 * One whole session: people type at once over networks that are late and break, then everything
 * comes to rest, and then all must have the same text, with all that was ever typed in it once.
 */
export async function runSession(
  backend: Backend,
  seed: number,
  options: SessionOptions,
): Promise<Outcome> {
  const random = new Random(seed);
  const begun = backend.environment.now();
  const rest = new Rest(backend, options.patience_ms);
  const people = await gather(backend, seed, options, random, () => rest.look());
  const { document, owner, participants } = people;

  await Promise.all(participants.map((participant) => participant.begin()));
  await Promise.all(
    participants.map((participant) => act(backend, participant, options.edits, random.fork())),
  );
  const revisions = () => new Set(participants.map(({ binding }) => binding.connection.revision));
  const rested = await rest.until(
    () =>
      participants.every(({ quiet }) => quiet) &&
      revisions().size === 1 &&
      misplaced(participants).length === 0,
  );

  const failures = participants.flatMap(({ name, complaints }) =>
    complaints.map((complaint) => `${name}: ${complaint}`),
  );
  if (!rested) {
    failures.push(
      ...participants.map(({ name, where }) => `did not come to rest: ${name} ${where}`),
      ...misplaced(participants),
    );
  }
  const stored = await backend.text(owner, document);
  failures.push(...compare(participants, stored));
  for (const { binding } of participants) binding.connection.close();
  return {
    seed,
    revision: Math.max(...revisions()),
    took_ms: backend.environment.now() - begun,
    tally: sum(participants.map(({ network }) => network.tally)),
    failures: failures.length > 0 ? [`document ${document}`, ...failures] : [],
  };
}

async function gather(
  backend: Backend,
  seed: number,
  options: SessionOptions,
  random: Random,
  changed: () => void,
): Promise<{ document: string; owner: string; participants: Participant[] }> {
  const numbers = Array.from({ length: options.editors }, (_, number) => number);
  const tokens = await Promise.all(numbers.map((number) => backend.guest(`editor ${number}`)));
  const [owner = ""] = tokens;
  const text = `shared ground\n😀😂 for all ${ANCHOR}\nto replace and to delete\n`;
  const document = await backend.create(owner, `session ${seed}`, text);
  const weather: Weather = { latency_ms: options.latency_ms, fresh: 15, bogus: 15 };
  const participants = numbers.map(
    (number) =>
      new Participant({
        number,
        backend,
        document,
        token: tokens[number] ?? "",
        weather,
        random: random.fork(),
        changed,
      }),
  );
  return { document, owner, participants };
}

/** Types all edits, with cuts between, and ends with the network as calm as it gets. */
async function act(
  backend: Backend,
  participant: Participant,
  edits: number,
  random: Random,
): Promise<void> {
  const { environment } = backend;
  const { network, typist } = participant;
  let next_cut = environment.now() + random.below(CALM_MS);
  for (let i = 0; i < edits; i++) {
    // Most of it is to happen in sessions, however slow the server is to begin them.
    let patience = 100;
    do await pause(backend, random.below(THINK_MS));
    while (!participant.live && patience-- > 0 && random.chance(80));
    typist.type();
    if (environment.now() < next_cut || (!participant.live && random.chance(80))) continue;
    if (random.chance(RELOADS)) await participant.reload();
    else network.cut(random.chance(50) ? 0 : random.below(PAUSE_MS));
    next_cut = environment.now() + random.below(CALM_MS);
  }
  network.weather = { ...network.weather, fresh: 0, bogus: 0 };
}

/** All see all others, and nobody else, and their cursors where those have them (A1, A2). */
function misplaced(participants: readonly Participant[]): string[] {
  return participants.flatMap((one) => {
    const { seen } = one;
    const others = participants.filter((other) => other !== one);
    const wrong = others
      .filter((other) => seen.get(other.client) !== other.cursor)
      .map(({ name, client, cursor }) => `${name} at ${seen.get(client)}, who is at ${cursor}`);
    if (seen.size > others.length) wrong.push(`${seen.size} peers`);
    return wrong.map((what) => `${one.name} sees ${what}`);
  });
}

function compare(participants: readonly Participant[], stored: string): string[] {
  const failures: string[] = [];
  for (const { name, editor } of participants) {
    if (editor.text !== stored) {
      failures.push(`${name} has another text than the server: ${difference(editor.text, stored)}`);
    }
  }
  const counts = countTokens(stored);
  for (const { name, typist, acknowledged } of participants) {
    for (const [i, token] of typist.tokens.entries()) {
      const count = counts.get(token) ?? 0;
      if (count === 1) continue;
      const fate = acknowledged.has(token) ? "acknowledged" : "never acknowledged";
      const which = `token ${i} of ${name} (${escaped(token)})`;
      failures.push(`${which} is there ${count} times; it was ${fate}`);
    }
  }
  const typed = participants.reduce((all, { typist }) => all + typist.tokens.length, 0);
  if (failures.length === 0 && counts.size !== typed + 1) {
    failures.push(`${counts.size} tokens in the text, ${typed} typed`);
  }
  return failures;
}

/** Tokens have no glyphs. */
function escaped(token: string): string {
  return [...token].map((symbol) => `U+${symbol.codePointAt(0)?.toString(16)}`).join(" ");
}

/** The place where two texts part. */
function difference(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 20), at + 40));
  return `at ${at} of ${one.length} and ${other.length}: ${around(one)} and ${around(other)}`;
}

function sum(tallies: readonly Tally[]): Tally {
  const all: Tally = { reloads: 0, cuts: 0, resumes: 0, resets: 0, fresh: 0, ordered: 0, void: 0 };
  for (const tally of tallies) {
    for (const key of Object.keys(all) as (keyof Tally)[]) all[key] += tally[key];
  }
  return all;
}

function pause(backend: Backend, ms: number): Promise<void> {
  return new Promise((resolve) => {
    backend.environment.schedule(ms, resolve);
  });
}

/** Waits for something that may be so after any event. */
class Rest {
  readonly #backend: Backend;
  readonly #patience_ms: number;
  #condition: () => boolean = () => false;
  #resolve: (reached: boolean) => void = () => {};

  constructor(backend: Backend, patience_ms: number) {
    this.#backend = backend;
    this.#patience_ms = patience_ms;
  }

  until(condition: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const give_up = this.#backend.environment.schedule(this.#patience_ms, () => resolve(false));
      this.#condition = condition;
      this.#resolve = () => {
        give_up();
        resolve(true);
      };
      this.look();
    });
  }

  /** Something has changed. */
  look(): void {
    if (this.#condition()) this.#resolve(true);
  }
}
