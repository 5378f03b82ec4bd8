import { sendableUpdates } from "@codemirror/collab";
import { history } from "@codemirror/commands";
import { ChangeSet } from "@codemirror/state";
import { Binding, collaborative, HeadlessEditor } from "../src/binding/index.ts";
import { Connection, type Received, type Replica } from "../src/connection/index.ts";
import type { Backend } from "./backend.ts";
import { Network, type Weather } from "./network.ts";
import type { Random } from "./random.ts";
import { countTokens, Typist } from "./typist.ts";

/** An editor with its person and its network. */
export class Participant {
  readonly name: string;
  readonly editor = new HeadlessEditor([collaborative, history()]);
  readonly typist: Typist;
  readonly network: Network;
  readonly binding: Binding;
  /** The tokens of pushes that came back: the server has taken them upon itself. */
  readonly acknowledged = new Set<string>();
  readonly complaints: string[] = [];

  constructor(options: {
    number: number;
    backend: Backend;
    document: string;
    token: string;
    weather: Weather;
    random: Random;
    changed: () => void;
  }) {
    const { number, backend, document, token, weather, random, changed } = options;
    this.name = `editor ${number}`;
    this.typist = new Typist(this.editor, number, random.fork());
    this.network = new Network(backend.environment, weather, random.fork(), (complaint) =>
      this.complaints.push(complaint),
    );
    const tokens = { current: async () => token, renewed: async () => token };
    const connect = (replica: Replica, told: () => void) =>
      new Connection(
        {
          origin: backend.origin,
          document,
          tokens,
          backoff: { first_ms: 20, ceiling_ms: 300 },
          patience_ms: 3_000,
          environment: this.network,
        },
        this.#witnessed(replica),
        () => {
          told();
          changed();
        },
      );
    this.binding = new Binding(this.editor, connect, {
      status: ({ connection }) => {
        if (connection.kind === "waiting" && connection.why === "diverged") {
          this.complaints.push("its text was not the server's");
        }
        if (connection.kind === "stopped" && connection.reason !== "closed") {
          this.complaints.push(`stopped: ${connection.reason}`);
        }
      },
      rejected: ({ code, message }) => this.complaints.push(`refused: ${code} (${message})`),
    });
    this.editor.changed = () => this.binding.changed();
  }

  get live(): boolean {
    return this.binding.connection.state.kind === "live";
  }

  /** Live, with nothing unsent or in flight, and all of it saved. */
  get quiet(): boolean {
    return this.live && this.binding.status.saved;
  }

  get where(): string {
    const { connection, saved } = this.binding.status;
    const { revision, inflight } = this.binding.connection;
    const unsent = sendableUpdates(this.editor.state).length;
    return `${JSON.stringify(connection)} at ${revision}, ${unsent} unsent${inflight ? ", in flight" : ""}${saved ? ", saved" : ""}`;
  }

  /** The same replica, with what it is told about own updates written down. */
  #witnessed(replica: Replica): Replica {
    return {
      start: (text, confirmed) => {
        const ordered = sendableUpdates(this.editor.state).slice(0, confirmed);
        replica.start(text, confirmed);
        for (const { changes } of ordered) this.#acknowledge(changes);
      },
      receive: (updates: readonly Received[]) => {
        replica.receive(updates);
        for (const { changes, own } of updates) {
          if (own) this.#acknowledge(ChangeSet.fromJSON(changes));
        }
      },
      ready: () => replica.ready(),
      reject: (rejection) => replica.reject(rejection),
      text: () => replica.text(),
    };
  }

  #acknowledge(changes: ChangeSet): void {
    changes.iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
      for (const token of countTokens(inserted.toString()).keys()) this.acknowledged.add(token);
    }, true);
  }
}
