import { createHash } from "node:crypto";
import { ChangeSet, Text } from "@codemirror/state";
import type { Backend } from "../../session/backend.ts";
import { Random } from "../../session/random.ts";
import {
  type Changes,
  crc32,
  type Environment,
  type SocketEvents,
} from "../../src/connection/index.ts";
import { Clock } from "./clock.ts";
import { LIMITS } from "./script.ts";
import { answer } from "./world.ts";

interface Ordered {
  readonly client: string;
  readonly seq: number;
  readonly changes: ChangeSet;
  readonly mark: string;
}

interface Push {
  readonly revision: number;
  readonly seq: number;
  readonly updates: readonly Changes[];
}

const HEARTBEAT_S = 1;
const SAVING_MS = 40;

/**
 * The server's side of the protocol as plainly as it can be said, for one document on a clock of
 * its own: what the clients are tested against where nothing else is to be in doubt.
 */
export class Authority implements Backend {
  readonly origin = "http://model";
  readonly clock = new Clock();
  readonly environment: Environment;
  /** Percent of the pushes that are refused for now. */
  refusing = 0;
  #text = Text.empty;
  #history: Ordered[] = [];
  #sessions = new Map<string, Session>();
  #saved = 0;
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.environment = {
      connect: (url, events) => this.#connect(new URL(url), events),
      fetch: async () => answer(200),
      now: () => this.clock.now(),
      schedule: (delay_ms, action) => this.clock.schedule(delay_ms, action),
      random: () => this.#random.fraction(),
    };
  }

  async guest(name: string): Promise<string> {
    return name;
  }

  async create(_token: string, _title: string, text: string): Promise<string> {
    this.#order("", 0, [ChangeSet.of({ from: 0, insert: text }, 0)]);
    return "model";
  }

  async text(): Promise<string> {
    return this.#text.toString();
  }

  get revision(): number {
    return this.#history.length;
  }

  markAt(revision: number): string {
    return this.#history[revision - 1]?.mark ?? "";
  }

  get checksum(): number {
    return crc32(this.#text);
  }

  get saved(): number {
    return this.#saved;
  }

  welcome(asked: URLSearchParams, client: string): object {
    const revision = Number(asked.get("revision") ?? -1);
    const resumes = asked.get("mark") === this.markAt(revision) && asked.has("revision");
    const inflight = Number(asked.get("inflight"));
    const ordered = this.#history.some((one) => one.client === client && one.seq === inflight);
    return {
      type: "welcome",
      protocol: 1,
      client,
      session: "model",
      head: this.revision,
      saved: this.#saved,
      role: "editor",
      limits: { ...LIMITS, heartbeat_s: HEARTBEAT_S },
      presence: [],
      ...(inflight && { inflight: ordered ? "ordered" : "void" }),
      ...(resumes
        ? { revision, mark: asked.get("mark") }
        : { revision: this.revision, mark: this.markAt(this.revision), text: String(this.#text) }),
      ...(asked.has("revision") && !resumes && { reset: true }),
    };
  }

  /** The message with what comes after `revision`. */
  updatesAfter(revision: number): object | null {
    if (revision === this.revision) return null;
    return {
      type: "updates",
      revision: revision + 1,
      mark: this.markAt(this.revision),
      updates: this.#history
        .slice(revision)
        .map(({ client, seq, changes }) => [client, seq, changes.toJSON()]),
    };
  }

  /** P1, or P5 at random. */
  push(client: string, { revision, seq, updates }: Push): object | null {
    if (this.#random.chance(this.refusing)) {
      const code = this.#random.pick(["stale", "rate_limited", "unavailable"]);
      return { type: "refused", seq, code, message: code, retry_after_ms: 20 };
    }
    const rebased = this.#rebase(
      updates.map((json) => ChangeSet.fromJSON(json)),
      revision,
    );
    const [first] = rebased;
    if (first && cutsPair(first, this.#text)) {
      return { type: "refused", seq, code: "invalid_change", message: "a cut through a pair" };
    }
    this.#order(client, seq, rebased);
    return null;
  }

  /** T8: over the history one update at a time, on both sides. */
  #rebase(updates: readonly ChangeSet[], revision: number): ChangeSet[] {
    let rebased = [...updates];
    for (const { changes } of this.#history.slice(revision)) {
      let over = changes;
      rebased = rebased.map((update) => {
        const mapped = update.map(over);
        over = over.map(update, true);
        return mapped;
      });
    }
    return rebased;
  }

  #order(client: string, seq: number, updates: readonly ChangeSet[]): void {
    for (const changes of updates) {
      this.#text = changes.apply(this.#text);
      const mark = createHash("sha1")
        .update(JSON.stringify([this.markAt(this.revision), client, seq, changes]))
        .digest("hex");
      this.#history.push({ client, seq, changes, mark });
    }
    for (const session of this.#sessions.values()) session.follow();
    const reached = this.revision;
    this.clock.schedule(SAVING_MS, () => {
      this.#saved = reached;
      for (const session of this.#sessions.values())
        session.say({ type: "saved", revision: reached });
    });
  }

  #connect(url: URL, events: SocketEvents) {
    const id = url.searchParams.get("client") ?? "";
    const session = new Session(this, url.searchParams, `public ${id.slice(0, 6)}`, events, () => {
      if (this.#sessions.get(id) === session) this.#sessions.delete(id);
    });
    this.clock.schedule(0, () => {
      this.#sessions.get(id)?.end(4409);
      this.#sessions.set(id, session);
      session.begin();
    });
    return {
      send: (data: string) => session.hear(JSON.parse(data)),
      close: () => session.end(1000),
    };
  }
}

/** T5, for the first of a push's updates: enough to catch a client that does not clean. */
function cutsPair(changes: ChangeSet, text: Text): boolean {
  let cuts = false;
  changes.iterChanges((from, to) => {
    for (const at of [from, to]) {
      const around = text.sliceString(Math.max(0, at - 1), Math.min(text.length, at + 1));
      cuts ||= around.length === 2 && (around.codePointAt(0) ?? 0) > 0xffff;
    }
  }, true);
  return cuts;
}

class Session {
  #at = 0;
  #ended = false;
  readonly #authority: Authority;
  readonly #asked: URLSearchParams;
  readonly #client: string;
  readonly #events: SocketEvents;
  readonly #forget: () => void;

  constructor(
    authority: Authority,
    asked: URLSearchParams,
    client: string,
    events: SocketEvents,
    forget: () => void,
  ) {
    this.#authority = authority;
    this.#asked = asked;
    this.#client = client;
    this.#events = events;
    this.#forget = forget;
  }

  begin(): void {
    if (this.#ended) return;
    this.#events.opened();
    const welcome = this.#authority.welcome(this.#asked, this.#client) as { revision: number };
    this.#at = welcome.revision;
    this.say(welcome);
    this.follow();
    this.#beat();
  }

  /** Sends what this session has not got yet. */
  follow(): void {
    const updates = this.#authority.updatesAfter(this.#at);
    if (!updates || this.#ended) return;
    this.#at = this.#authority.revision;
    this.say(updates);
  }

  hear(message: { type: string } & Push): void {
    if (this.#ended || message.type !== "push") return;
    const refused = this.#authority.push(this.#client, message);
    if (refused) this.say(refused);
  }

  say(message: object): void {
    if (!this.#ended) this.#events.received(JSON.stringify(message));
  }

  end(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forget();
    this.#events.closed(code);
  }

  #beat(): void {
    if (this.#ended) return;
    const { checksum, saved } = this.#authority;
    const mark = this.#authority.markAt(this.#at);
    this.say({ type: "beat", revision: this.#at, mark, saved, crc: checksum });
    this.#authority.clock.schedule(HEARTBEAT_S * 1000, () => this.#beat());
  }
}
