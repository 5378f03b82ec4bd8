import { ChangeSet } from "@codemirror/state";
import {
  type Changes,
  type Connection,
  fitting,
  mapRange,
  type Range,
  type Received,
  type Rejection,
  type Replica,
} from "../../web/src/connection/index.ts";
import { difference } from "./difference.ts";

/** What the replica needs of a field of text. A `<textarea>` is one. */
export interface Field {
  value: string;
  readonly selectionStart: number;
  readonly selectionEnd: number;
  setRangeText(insert: string, from: number, to: number, mode: "preserve"): void;
}

/**
 * A field of text as a replica of a document.
 *
 * The law: the field's text is the confirmed text, with `#pushed` and then `#typed` applied.
 */
export class FieldReplica implements Replica {
  readonly connection: Connection;
  readonly #field: Field;
  readonly #rejected: (rejection: Rejection, text: string) => void;
  #confirmed = "";
  /** In flight, or back from there without having been ordered. */
  #pushed = ChangeSet.empty(0);
  /** What was typed since. */
  #typed = ChangeSet.empty(0);
  /** The field's text as this replica knows it. */
  #text = "";

  constructor(
    field: Field,
    connect: (replica: Replica) => Connection,
    rejected: (rejection: Rejection, text: string) => void,
  ) {
    this.#field = field;
    this.#rejected = rejected;
    this.connection = connect(this);
  }

  /** All that was typed here is in the server's database (S2). */
  get saved(): boolean {
    return this.#pushed.empty && this.#typed.empty && this.connection.saved;
  }

  /** The person typed. A field does not say what: it is what is different now. */
  changed(): void {
    const clean = this.#field.value.replace(UNCLEAN, "");
    if (clean !== this.#field.value) this.#field.value = clean;
    const typed = ChangeSet.of(difference(this.#text, clean), this.#text.length);
    this.#typed = this.#typed.compose(typed);
    this.#text = clean;
    this.ready();
    this.moved();
  }

  /** The cursor is elsewhere. Others know the confirmed text alone (A1). */
  moved(): void {
    const { selectionStart, selectionEnd } = this.#field;
    const back = [this.#typed.invertedDesc, this.#pushed.invertedDesc];
    const range = back.reduce<Range>(
      (mapped, changes) => mapRange(mapped, (at) => changes.mapPos(at), false),
      [selectionStart, selectionEnd],
    );
    this.connection.present([range]);
  }

  // Replica

  start(text: string, confirmed: number): void {
    if (confirmed > 0) this.#confirm(this.#pushed);
    // As if somebody had made the one text the other (H6).
    this.#receive(ChangeSet.of(difference(this.#confirmed, text), this.#confirmed.length));
  }

  receive(updates: readonly Received[]): void {
    for (const { changes, own } of updates) {
      if (own) this.#confirm(ChangeSet.fromJSON(changes));
      else this.#receive(ChangeSet.fromJSON(changes));
    }
  }

  ready(): void {
    const limits = this.connection.pushable;
    if (!limits) return;
    // What was pushed and is not in flight any more was not ordered.
    const unsent = this.#pushed.compose(this.#typed);
    this.#pushed = ChangeSet.empty(unsent.length);
    this.#typed = unsent;
    if (unsent.empty) return;
    if (fitting([unsent], toWire, limits) === 0) {
      this.reject({ code: "too_large", message: "this is too much at once" });
      return;
    }
    this.#pushed = unsent;
    this.#typed = ChangeSet.empty(unsent.newLength);
    this.connection.push([toWire(unsent)]);
  }

  reject(rejection: Rejection): void {
    const text = this.#text;
    this.#field.value = this.#confirmed;
    this.#text = this.#confirmed;
    this.#pushed = ChangeSet.empty(this.#confirmed.length);
    this.#typed = this.#pushed;
    this.#rejected(rejection, text);
  }

  text(): Iterable<string> {
    return [this.#confirmed];
  }

  /** What was pushed is ordered: it moves from one side of the law to the other. */
  #confirm(changes: ChangeSet): void {
    this.#confirmed = apply(changes, this.#confirmed);
    this.#pushed = ChangeSet.empty(this.#confirmed.length);
  }

  /** Somebody else's change comes before what is unconfirmed here, which moves over it (T8). */
  #receive(change: ChangeSet): void {
    this.#confirmed = apply(change, this.#confirmed);
    const afterPushed = change.map(this.#pushed, true);
    this.#pushed = this.#pushed.map(change);
    const afterTyped = afterPushed.map(this.#typed, true);
    this.#typed = this.#typed.map(afterPushed);
    this.#show(afterTyped);
  }

  /** Changes the field from its end to its beginning, so that what is before stays in place. */
  #show(change: ChangeSet): void {
    const pieces: [from: number, to: number, insert: string][] = [];
    change.iterChanges((from, to, _fromB, _toB, insert) => {
      pieces.unshift([from, to, insert.toString()]);
    });
    for (const [from, to, insert] of pieces) {
      this.#field.setRangeText(insert, from, to, "preserve");
    }
    this.#text = apply(change, this.#text);
  }
}

/** What no text may have: NUL, and half a surrogate pair (T5). */
const UNCLEAN = /\0|\p{Surrogate}/gu;

function toWire(changes: ChangeSet): Changes {
  return changes.toJSON() as Changes;
}

function apply(changes: ChangeSet, text: string): string {
  let after = "";
  let at = 0;
  changes.iterChanges((from, to, _fromB, _toB, insert) => {
    after += text.slice(at, from) + insert.toString();
    at = to;
  });
  return after + text.slice(at);
}
