import { collab, receiveUpdates, sendableUpdates, type Update } from "@codemirror/collab";
import { ChangeSet, type Extension, Text, type Transaction } from "@codemirror/state";
import {
  type Changes,
  type Connection,
  fitting,
  type Limits,
  type Received,
  type Rejection,
  type Replica,
  type State,
} from "../connection/index.ts";
import { cleanChanges } from "./clean.ts";
import { diff } from "./diff.ts";
import type { Editor } from "./editor.ts";
import { split } from "./split.ts";

/**
 * Who made an update, as `@codemirror/collab` needs to know: this editor, or anyone else. The
 * protocol's own names stay out of it, since an update may bear this client's name and still not
 * be the one in flight (U3).
 */
const OWN = "own";
const OTHER = "other";

/** What an editor needs to be bound. Its text is empty at first: the server's comes (H4). */
export const collaborative: Extension = [collab({ clientID: OWN }), cleanChanges];

/** How a bound editor stands. */
export interface Status {
  readonly connection: State;
  /** All that was typed here is in the server's database (S2). */
  readonly saved: boolean;
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
}

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
  #confirmed = Text.empty;
  #status: Status | null = null;
  /** The editor is between two states that keep the law. */
  #rearranging = false;

  constructor(
    editor: Editor,
    connect: (replica: Replica, changed: () => void) => Connection,
    events: BindingEvents,
  ) {
    this.#editor = editor;
    this.#events = events;
    this.connection = connect(this, () => this.#tell());
  }

  /** The editor's text may have changed: sends what is to be sent. */
  changed(): void {
    if (this.#rearranging) return;
    this.#push();
    this.#tell();
  }

  get status(): Status {
    const unsent = sendableUpdates(this.#editor.state).length > 0;
    return { connection: this.connection.state, saved: !unsent && this.connection.saved };
  }

  // Replica

  start(text: string, confirmed: number): void {
    const ordered = sendableUpdates(this.#editor.state).slice(0, confirmed);
    const before = ordered.reduce((doc, { changes }) => changes.apply(doc), this.#confirmed);
    const differences = diff(before.toString(), text);
    // To the editor it is one more update, by which somebody made the one text the other (H6).
    const carry = { changes: ChangeSet.of(differences, before.length), clientID: OTHER };
    this.#apply(differences.length > 0 ? [...ordered, carry] : ordered);
  }

  receive(updates: readonly Received[]): void {
    this.#apply(
      updates.map(({ changes, own }) => ({
        changes: ChangeSet.fromJSON(changes),
        clientID: own ? OWN : OTHER,
      })),
    );
  }

  ready(): void {
    this.#push();
    this.#tell();
  }

  reject(rejection: Rejection): void {
    const text = this.#editor.state.sliceDoc();
    const typed: string[] = [];
    this.#unsent().iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
      if (inserted.length > 0) typed.push(inserted.toString());
    });
    this.#takeBack();
    this.#events.rejected({ ...rejection, text, typed });
  }

  text(): Iterable<string> {
    return this.#confirmed;
  }

  // The editor

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
    this.#editor.dispatch(transactions);
    this.#confirmed = confirmed;
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
    this.#rearranging = true;
    this.#takeBack();
    for (const update of unsent) {
      const fits = fitting([update], toWire, limits) === 1;
      for (const changes of fits ? [update.changes] : split(update.changes, limits)) {
        this.#editor.dispatch([this.#editor.state.update({ changes, filter: false })]);
      }
    }
    this.#editor.dispatch([this.#editor.state.update({ selection })]);
    this.#rearranging = false;
  }

  #tell(): void {
    const status = this.status;
    const told = this.#status;
    if (told?.connection === status.connection && told.saved === status.saved) return;
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
