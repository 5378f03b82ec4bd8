import {
  type Annotation,
  type AnnotationType,
  ChangeSet,
  type ChangeSpec,
  EditorState,
  type Extension,
  StateEffect,
  type Text,
  Transaction,
  type TransactionSpec,
} from "@codemirror/state";

/**
 * Keeps what the server would refuse (T5) out of every change before it is dispatched: no section
 * of it begins or ends within a surrogate pair, and none inserts NUL, a carriage return or half a
 * pair.
 *
 * CodeMirror's own reading of the DOM cuts pairs: where an input method puts 😂 for 😀, it keeps
 * the half that both share, and replaces the other.
 */
export const cleanChanges: Extension = EditorState.transactionFilter.of((transaction) =>
  transaction.docChanged && !isClean(transaction) ? cleaned(transaction) : transaction,
);

function isClean(transaction: Transaction): boolean {
  const { doc } = transaction.startState;
  let clean = true;
  transaction.changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    clean &&= !cutsPair(doc, from) && !cutsPair(doc, to) && !DIRTY.test(inserted.toString());
  }, true);
  return clean;
}

/**
 * The transaction with clean changes. Selection and effects come along, and of the annotations
 * those that CodeMirror's own extensions ask for.
 */
function cleaned(transaction: Transaction): TransactionSpec {
  const { doc } = transaction.startState;
  const { newDoc } = transaction;
  const changes: ChangeSpec[] = []; // from the old text to the clean one
  const repairs: ChangeSpec[] = []; // from the new text to the clean one
  transaction.changes.iterChanges((fromA, toA, fromB, toB, inserted) => {
    // Widened, a change takes in the halves that it had kept.
    const before = cutsPair(doc, fromA) ? 1 : 0;
    const after = cutsPair(doc, toA) ? 1 : 0;
    const kept = newDoc.sliceString(fromB - before, fromB);
    const keptAfter = newDoc.sliceString(toB, toB + after);
    const typed = inserted.toString();
    // What is typed between two halves goes after them. What replaces a half replaces the pair,
    // unless with the other half it makes one.
    const insert = clean(fromA === toA ? kept + keptAfter + typed : kept + typed + keptAfter);
    changes.push({ from: fromA - before, to: toA + after, insert });
    if (insert !== kept + typed + keptAfter) {
      repairs.push({ from: fromB - before, to: toB + after, insert });
    }
  });
  const repair = ChangeSet.of(repairs, newDoc.length);
  return {
    changes,
    selection: transaction.newSelection.map(repair),
    effects: StateEffect.mapEffects(transaction.effects, repair),
    annotations: [
      ...carry(transaction, Transaction.userEvent),
      ...carry(transaction, Transaction.addToHistory),
      ...carry(transaction, Transaction.remote),
    ],
    scrollIntoView: transaction.scrollIntoView,
  };
}

function carry<T>(transaction: Transaction, type: AnnotationType<T>): Annotation<T>[] {
  const value = transaction.annotation(type);
  return value === undefined ? [] : [type.of(value)];
}

function cutsPair(doc: Text, at: number): boolean {
  const around = doc.sliceString(Math.max(0, at - 1), Math.min(doc.length, at + 1));
  return around.length === 2 && (around.codePointAt(0) as number) > 0xffff;
}

/** A character that no text may have, or half a pair. */
const DIRTY = /[\0\r]|\p{Surrogate}/u;
const ALL_DIRTY = new RegExp(DIRTY, "gu");

function clean(text: string): string {
  return text.replace(ALL_DIRTY, "");
}
