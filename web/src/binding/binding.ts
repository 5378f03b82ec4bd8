import { collab, receiveUpdates, sendableUpdates, type Update } from "@codemirror/collab";
import {
  ChangeSet,
  type EditorState,
  type Extension,
  StateEffect,
  Text,
  Transaction,
} from "@codemirror/state";
import {
  ACCESS_LOST,
  type Changes,
  type Connection,
  type ConnectionOptions,
  fitting,
  type Limits,
  type Peer,
  type Received,
  type Rejection,
  type Replica,
  type State,
} from "../connection/index.ts";
import type { Keeper, Source } from "../keep/keeper.ts";
import type { Kept } from "../keep/store.ts";
import { showPeers } from "../presence/peers.ts";
import { cleanChanges } from "./clean.ts";
import { diff } from "./diff.ts";
import type { Editor } from "./editor.ts";
import { confirmedRanges, shownPeers } from "./ranges.ts";
import { split } from "./split.ts";
import { forgetUndo } from "./undo.ts";

/**
 * Who made an update, as `@codemirror/collab` needs to know: this editor, or anyone else. The
 * protocol's own names stay out of it, since an update may bear this client's name and still not
 * be the one in flight (U3).
 */
const OWN = "own";
const OTHER = "other";

/** Marks an update that was taken up: as the library has it, one that changes nothing is none. */
const takenUp = StateEffect.define<null>();

/** What an editor needs to be bound. Its text is empty at first: the server's comes (H4). */
export const collaborative: Extension = [
  collab({
    clientID: OWN,
    sharedEffects: ({ effects }) => effects.filter((effect) => effect.is(takenUp)),
  }),
  cleanChanges,
];

/** How a bound editor stands. */
export interface Status {
  readonly connection: State;
  /** All that was typed here is in the server's database (S2). */
  readonly saved: boolean;
  /** What is typed here outlives this page, until it is saved. */
  readonly kept: boolean;
}

/** What was typed, and is not in the editor any more because it was refused for good (P5). */
export interface Unsent extends Rejection {
  /** The whole text, as the person had it. */
  readonly text: string;
  /** What of it was typed here and not confirmed, piece by piece. */
  readonly typed: readonly string[];
}

export interface BindingEvents {
  status(status: Status): void;
  rejected(unsent: Unsent): void;
  /** Somebody came or left, or somebody's cursor is elsewhere. */
  peers?(peers: readonly Peer[]): void;
}

/** What a connection needs to go on where a former editor was: a part of its options. */
export type Held = Required<Pick<ConnectionOptions, "memory" | "kept">>;

/**
 * A CodeMirror editor as a replica of the document.
 *
 * The law: the editor's text is the confirmed text with the sendable updates applied, in order.
 * The owner calls `changed` after every transaction of the editor.
 */
export class Binding implements Replica {
  readonly connection: Connection;
  readonly #editor: Editor;
  readonly #events: BindingEvents;
  readonly #keeper: Keeper | null;
  #confirmed = Text.empty;
  #status: Status | null = null;
  /** The editor is between two states that keep the law. */
  #rearranging = false;
  /** Those whom the editor shows, and those of whom the page was told. */
  #peers: readonly Peer[];
  #told: readonly Peer[];
  /** What others were told of this editor's cursors. */
  #presented: EditorState | null = null;
  #presented_at = -1;
  #focused = false;

  constructor(
    editor: Editor,
    connect: (replica: Replica, changed: () => void, held: Held) => Connection,
    events: BindingEvents,
    keeper: Keeper | null = null,
  ) {
    this.#editor = editor;
    this.#events = events;
    this.#keeper = keeper;
    const held = { memory: keeper?.kept?.memory ?? null, kept: keeper && (() => keeper.saved()) };
    this.connection = connect(this, () => this.#tell(), held);
    this.#peers = this.connection.peers;
    this.#told = this.#peers;
  }

  /** Begins with what the keeper has, and connects. */
  open(): void {
    const keeper = this.#keeper;
    if (keeper?.kept) this.#takeUp(keeper.kept);
    keeper?.attach(this.#source(), () => this.#tell());
    this.connection.open();
  }

  /** Ends. What is unsent then stays with the keeper. */
  async close(): Promise<void> {
    this.connection.close();
    await this.#keeper?.close();
  }

  /**
   * The editor's text, selection or focus may have changed: sends what is to be sent. After each
   * transaction of the editor.
   */
  changed(): void {
    if (this.#rearranging) return;
    this.#push();
    this.#tell();
  }

  get status(): Status {
    const unsent = sendableUpdates(this.#editor.state).length > 0;
    return {
      connection: this.connection.state,
      saved: !unsent && this.connection.saved,
      kept: this.#keeper?.working ?? false,
    };
  }

  // Replica

  start(text: string, confirmed: number): void {
    this.#restart(text, confirmed);
    this.#keeper?.restarted();
  }

  receive(updates: readonly Received[]): void {
    this.#apply(
      updates.map(({ changes, own }) => ({
        changes: ChangeSet.fromJSON(changes),
        clientID: own ? OWN : OTHER,
      })),
    );
    this.#keeper?.followed(updates.map(({ changes }) => changes));
  }

  ready(): void {
    this.#push();
    this.#tell();
  }

  /**
   * The document is gone for this person: what is unsent, or may not have arrived, is handed to
   * them, as if it were refused.
   */
  giveUp(): void {
    if (this.#rearranging) return;
    if (sendableUpdates(this.#editor.state).length > 0) {
      this.reject({ code: ACCESS_LOST, message: "the document is not there any more" });
    }
    this.connection.abandon();
    this.changed();
  }

  reject(rejection: Rejection): void {
    const text = this.#editor.state.sliceDoc();
    const typed: string[] = [];
    this.#unsent().iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
      if (inserted.length > 0) typed.push(inserted.toString());
    });
    this.#arrange(() => {
      this.#takeBack();
      // It would bring back what the refused changes had deleted, which is there again already.
      forgetUndo(this.#editor);
    });
    this.#events.rejected({ ...rejection, text, typed });
  }

  text(): Iterable<string> {
    return this.#confirmed;
  }

  // The editor

  /** Another confirmed text, which has the first `confirmed` of the unsent updates in it (H6). */
  #restart(text: string, confirmed: number): void {
    const ordered = sendableUpdates(this.#editor.state).slice(0, confirmed);
    const before = ordered.reduce((doc, { changes }) => changes.apply(doc), this.#confirmed);
    const differences = diff(before.toString(), text);
    // To the editor it is one more update, by which somebody made the one text the other (H6).
    const carry = { changes: ChangeSet.of(differences, before.length), clientID: OTHER };
    this.#apply(differences.length > 0 ? [...ordered, carry] : ordered);
  }

  /** Ordered updates, one at a time (T8), and to a view as one step. All of them or none. */
  #apply(updates: readonly Update[]): void {
    let { state } = this.#editor;
    let confirmed = this.#confirmed;
    const transactions: Transaction[] = [];
    for (const update of updates) {
      if (update.clientID === OWN) expectFirst(sendableUpdates(state), update);
      confirmed = update.changes.apply(confirmed);
      const transaction = receiveUpdates(state, [update]);
      transactions.push(transaction);
      state = transaction.state;
    }
    const shown = this.#showing(state);
    if (shown) transactions.push(state.update({ effects: shown }));
    this.#arrange(() => this.#editor.dispatch(transactions));
    this.#confirmed = confirmed;
  }

  /** Without being told of what is done here itself. */
  #arrange(action: () => void): void {
    const before = this.#rearranging;
    this.#rearranging = true;
    try {
      action();
    } finally {
      this.#rearranging = before;
    }
  }

  /**
   * As another editor left it, without the undo history that it had. Updates that others' have made
   * empty are among those in flight.
   */
  #takeUp({ text, unsent }: Kept): void {
    this.#restart(text, 0);
    const annotations = Transaction.addToHistory.of(false);
    this.#arrange(() => {
      for (const json of unsent) {
        const changes = ChangeSet.fromJSON(json);
        const { state } = this.#editor;
        const effects = takenUp.of(null);
        this.#editor.dispatch([state.update({ changes, effects, annotations, filter: false })]);
      }
    });
  }

  #source(): Source {
    const unsent = () => sendableUpdates(this.#editor.state);
    const { connection } = this;
    const binding = this;
    return {
      get memory() {
        return connection.memory;
      },
      get unsent() {
        return unsent().map(toWire);
      },
      text: () => this.#confirmed,
      get stamp() {
        const all = unsent();
        return [all.length, all.at(-1)?.origin, connection.memory.flight?.seq];
      },
      get settled() {
        return binding.status.saved;
      },
    };
  }

  /** All that is unsent, as one change of the confirmed text. */
  #unsent(): ChangeSet {
    return sendableUpdates(this.#editor.state).reduce(
      (all, { changes }) => all.compose(changes),
      ChangeSet.empty(this.#confirmed.length),
    );
  }

  /** Makes the editor's text the confirmed one: as if everything were confirmed, and then undone. */
  #takeBack(): void {
    const inverse = this.#unsent().invert(this.#confirmed);
    const unsent = sendableUpdates(this.#editor.state);
    this.#apply([...unsent, { changes: inverse, clientID: OTHER }]);
  }

  // Pushing

  #push(): void {
    const limits = this.connection.pushable;
    if (!limits || sendableUpdates(this.#editor.state).length === 0) return;
    if (this.#fitting(limits) === 0) this.#splitFirst(limits);
    const fit = this.#fitting(limits);
    if (fit === 0) {
      this.reject({ code: "too_large", message: "no push can take this change" });
      return;
    }
    const updates = sendableUpdates(this.#editor.state).slice(0, fit);
    this.connection.push(updates.map(toWire));
  }

  /** How many of the first sendable updates fit into one push. */
  #fitting(limits: Limits): number {
    return fitting(sendableUpdates(this.#editor.state), toWire, limits);
  }

  /**
   * Makes several updates of a first one that no push can take: all that is unsent is taken back,
   * and made again in smaller changes where it has to be.
   */
  #splitFirst(limits: Limits): void {
    const { selection } = this.#editor.state;
    const unsent = sendableUpdates(this.#editor.state);
    this.#arrange(() => {
      const deletes = unsent.some(({ changes }) => changes.toJSON().some(isDeletion));
      this.#takeBack();
      if (deletes) forgetUndo(this.#editor);
      for (const update of unsent) {
        const fits = fitting([update], toWire, limits) === 1;
        for (const changes of fits ? [update.changes] : split(update.changes, limits)) {
          this.#editor.dispatch([this.#editor.state.update({ changes, filter: false })]);
        }
      }
      this.#editor.dispatch([this.#editor.state.update({ selection })]);
    });
  }

  // Presence

  /** Tells the others where this editor's cursors are, once the person has come to it. */
  #present(): void {
    const { connection } = this;
    const { state } = this.#editor;
    this.#focused ||= this.#editor.hasFocus ?? true;
    const told =
      this.#presented?.selection === state.selection && this.#presented.doc === state.doc;
    if (connection.state.kind !== "live" || (told && this.#presented_at === connection.revision)) {
      return;
    }
    this.#presented = this.#focused ? state : null;
    this.#presented_at = connection.revision;
    const unsent = sendableUpdates(state).map(({ changes }) => changes);
    connection.present(this.#focused ? confirmedRanges(state.selection, unsent) : []);
  }

  /** What shows the peers where they are, if the editor does not show it yet. */
  #showing(state: EditorState): StateEffect<unknown> | null {
    const { peers } = this.connection;
    if (peers === this.#peers) return null;
    this.#peers = peers;
    const unsent = sendableUpdates(state).map(({ changes }) => changes);
    return showPeers.of(shownPeers(peers, unsent));
  }

  #showPeers(): void {
    const shown = this.#showing(this.#editor.state);
    if (!shown) return;
    const transaction = this.#editor.state.update({ effects: shown });
    this.#arrange(() => this.#editor.dispatch([transaction]));
  }

  #tell(): void {
    if (this.#rearranging) return;
    this.#showPeers();
    this.#present();
    this.#keeper?.changed();
    if (this.#told !== this.connection.peers) {
      this.#told = this.connection.peers;
      this.#events.peers?.(this.#told);
    }
    const { status } = this;
    const told = this.#status;
    if (
      told?.connection === status.connection &&
      told.saved === status.saved &&
      told.kept === status.kept
    ) {
      return;
    }
    this.#status = status;
    this.#events.status(status);
  }
}

function toWire({ changes }: Update): Changes {
  return changes.toJSON() as Changes;
}

/** Both sides rebase alike (T7, T8): what comes back is what would be sent now, or they differ. */
function expectFirst([first]: readonly Update[], own: Update): void {
  if (JSON.stringify(first?.changes) !== JSON.stringify(own.changes)) {
    throw new RangeError("an own update came back as another one than it is here");
  }
}

function isDeletion(section: number | [number, ...string[]]): boolean {
  return typeof section !== "number" && section[0] > 0;
}
