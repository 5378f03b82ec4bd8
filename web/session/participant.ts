import { sendableUpdates } from "@codemirror/collab";
import { ChangeSet } from "@codemirror/state";
import {
  Binding,
  collaborative,
  HeadlessEditor,
  type Held,
  undoable,
} from "../src/binding/index.ts";
import {
  Connection,
  type ConnectionOptions,
  type Received,
  type Replica,
} from "../src/connection/index.ts";
import { type Keep, MemoryLocks, MemoryStore, openKeeper, rescue } from "../src/keep/index.ts";
import { shownPeers } from "../src/presence/index.ts";
import type { Backend } from "./backend.ts";
import { Disk } from "./disk.ts";
import { Network, type Weather } from "./network.ts";
import type { Random } from "./random.ts";
import { countTokens, Typist } from "./typist.ts";

export interface ParticipantOptions {
  readonly number: number;
  readonly backend: Backend;
  readonly document: string;
  readonly token: string;
  readonly weather: Weather;
  readonly random: Random;
  readonly changed: () => void;
}

/** A person with a browser: an editor in it, which is loaded again at times, and its network. */
export class Participant {
  readonly name: string;
  readonly typist: Typist;
  readonly network: Network;
  /** The tokens of pushes that came back: the server has taken them upon itself. */
  readonly acknowledged = new Set<string>();
  readonly complaints: string[] = [];
  editor = newEditor();
  binding: Binding;
  readonly #options: ParticipantOptions;
  readonly #random: Random;
  readonly #browser: Keep = { store: new MemoryStore(), locks: new MemoryLocks() };
  /** The tokens that were kept before they were sent: no reload may lose them. */
  readonly #written = new Set<string>();
  #disk: Disk;
  #leaving = new AbortController();
  /** How many former editors' texts are being sent. */
  #rescues = 0;

  constructor(options: ParticipantOptions) {
    const { number, backend, weather, random } = options;
    this.#options = options;
    this.name = `editor ${number}`;
    this.typist = new Typist(this.editor, number, random.fork());
    this.#random = random.fork();
    this.network = new Network(backend.environment, weather, random.fork(), this.#complain);
    this.#disk = this.#newDisk();
    this.binding = this.#bind(this.editor, null);
  }

  /** Opens the document. */
  async begin(): Promise<void> {
    const keeper = await openKeeper(this.#disk.keep, this.#shelf, this.network);
    this.editor = newEditor();
    this.typist.editor = this.editor;
    this.binding = this.#bind(this.editor, keeper);
    this.binding.open();
  }

  /**
   * The page is gone from one moment to the next, and loaded again. What was kept must be there;
   * what was not is neither there nor ever was sent. At times the browser is late to notice that
   * the former page is gone: then its text is sent beside that of the new one.
   */
  async reload(): Promise<void> {
    this.network.tally.reloads++;
    this.#leaving.abort();
    this.#leaving = new AbortController();
    const free = this.#disk.end();
    this.editor.changed = () => {};
    this.network.cut(0);
    this.binding.connection.close();
    this.#disk = this.#newDisk();
    this.typist.tokens = this.typist.tokens.filter(
      (token) => this.#written.has(token) || this.acknowledged.has(token),
    );
    if (this.#random.chance(75)) free();
    await this.begin();
    free();
    void this.#rescue();
  }

  get live(): boolean {
    return this.binding.connection.state.kind === "live";
  }

  /** Live, with nothing unsent or in flight, and all of it saved. */
  get quiet(): boolean {
    return this.live && this.binding.status.saved && this.#rescues === 0;
  }

  /** Under which name others see this one. */
  get client(): string {
    const { state } = this.binding.connection;
    return state.kind === "live" ? state.client : "";
  }

  get cursor(): string {
    const { anchor, head } = this.editor.state.selection.main;
    return `${anchor}-${head}`;
  }

  /** Where this one sees the others' cursors, by their clients. */
  get seen(): ReadonlyMap<string, string> {
    const shown = this.editor.state.field(shownPeers);
    return new Map(shown.map(({ client, ranges }) => [client, ranges[0]?.join("-") ?? ""]));
  }

  get where(): string {
    const { connection, saved } = this.binding.status;
    const { revision, inflight } = this.binding.connection;
    const unsent = sendableUpdates(this.editor.state).length;
    return `${JSON.stringify(connection)} at ${revision}, ${unsent} unsent${inflight ? ", in flight" : ""}${saved ? ", saved" : ""}${this.#rescues > 0 ? ", rescuing" : ""}`;
  }

  readonly #complain = (complaint: string) => {
    this.complaints.push(complaint);
  };

  get #shelf() {
    return { owner: this.name, document: this.#options.document };
  }

  #newDisk(): Disk {
    return new Disk(this.#browser, this.network, this.#random.fork(), this.#written);
  }

  #bind(editor: HeadlessEditor, keeper: Awaited<ReturnType<typeof openKeeper>>): Binding {
    const connect = (replica: Replica, told: () => void, held: Held) =>
      new Connection(
        this.#connectionOptions(this.network, held),
        this.#witnessed(editor, replica),
        () => {
          told();
          this.#options.changed();
        },
      );
    const binding = new Binding(
      editor,
      connect,
      {
        status: ({ connection }) => {
          if (connection.kind === "waiting" && connection.why === "diverged") {
            this.#complain("its text was not the server's");
          }
          if (connection.kind === "stopped" && connection.reason !== "closed") {
            this.#complain(`stopped: ${connection.reason}`);
          }
        },
        rejected: ({ code, message }) => this.#complain(`refused: ${code} (${message})`),
      },
      keeper,
    );
    editor.changed = () => binding.changed();
    return binding;
  }

  #connectionOptions(environment: Network, held: Held): ConnectionOptions {
    const { backend, document, token } = this.#options;
    return {
      origin: backend.origin,
      document,
      tokens: { current: async () => token, renewed: async () => token },
      backoff: { first_ms: 20, ceiling_ms: 300 },
      patience_ms: 3_000,
      environment,
      ...held,
    };
  }

  async #rescue(): Promise<void> {
    this.#rescues++;
    const { backend, changed } = this.#options;
    const random = this.#random.fork();
    const network = new Network(backend.environment, this.network.weather, random, this.#complain);
    await rescue({
      keep: this.#disk.keep,
      shelf: this.#shelf,
      connect: (replica, told, held) =>
        new Connection(this.#connectionOptions(network, held), replica, told),
      rejected: ({ code }) => this.#complain(`refused: ${code}`),
      signal: this.#leaving.signal,
      clock: network,
    });
    this.#rescues--;
    changed();
  }

  /** The same replica, with what it is told about own updates written down. */
  #witnessed(editor: HeadlessEditor, replica: Replica): Replica {
    return {
      start: (text, confirmed) => {
        const ordered = sendableUpdates(editor.state).slice(0, confirmed);
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

function newEditor(): HeadlessEditor {
  return new HeadlessEditor([collaborative, undoable, shownPeers]);
}
