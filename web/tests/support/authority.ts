import { createHash } from "node:crypto";
import { ChangeSet, Text } from "@codemirror/state";
import type { Backend } from "../../session/backend.ts";
import { Random } from "../../session/random.ts";
import {
  type Changes,
  crc32,
  type Environment,
  type Range,
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

interface Cursors {
  readonly revision: number;
  readonly ranges: readonly Range[];
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
      presence: this.#everybody(),
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

  /** A2, at once: told with the positions where they are in the text as it is now. */
  present(from: Session, cursors: Cursors): void {
    from.cursors = this.#carried(cursors);
    this.tellOthers(from, { type: "presence", peers: [peerOf(from)], left: [] });
  }

  #carried({ revision, ranges }: Cursors): Cursors {
    const { length } = this.#text;
    const mapped = this.#history
      .slice(revision)
      .reduce<readonly Range[]>(
        (all, { changes }) =>
          all.map(([anchor, head]) => [changes.mapPos(anchor), changes.mapPos(head)]),
        ranges,
      );
    return {
      revision: this.revision,
      ranges: mapped.map(([a, b]) => [Math.min(a, length), Math.min(b, length)]),
    };
  }

  tellOthers(from: Session, message: object): void {
    for (const session of this.#sessions.values()) if (session !== from) session.say(message);
  }

  #everybody(): object[] {
    const sessions = [...this.#sessions.values()];
    for (const session of sessions) session.cursors = this.#carried(session.cursors);
    return sessions.map(peerOf);
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
      if (this.#sessions.get(id) !== session) return;
      this.#sessions.delete(id);
      this.tellOthers(session, { type: "presence", peers: [], left: [session.client] });
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

function peerOf({ client, cursors }: Session): object {
  return { client, name: client, color: "#2d5bb9", ...cursors };
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
  readonly client: string;
  cursors: Cursors = { revision: 0, ranges: [] };
  #at = 0;
  #ended = false;
  readonly #authority: Authority;
  readonly #asked: URLSearchParams;
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
    this.client = client;
    this.#events = events;
    this.#forget = forget;
  }

  begin(): void {
    if (this.#ended) return;
    this.#events.opened();
    const welcome = this.#authority.welcome(this.#asked, this.client) as { revision: number };
    this.#at = welcome.revision;
    this.say(welcome);
    this.#authority.present(this, { revision: 0, ranges: [] });
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

  hear(message: { type: string } & Push & Cursors): void {
    if (this.#ended) return;
    if (message.type === "presence") this.#authority.present(this, message);
    if (message.type !== "push") return;
    const refused = this.#authority.push(this.client, message);
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
