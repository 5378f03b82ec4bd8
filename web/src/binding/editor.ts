import {
  EditorState,
  type Extension,
  type Transaction,
  type TransactionSpec,
} from "@codemirror/state";

/** What the binding needs of an editor. An `EditorView` is one. */
export interface Editor {
  readonly state: EditorState;
  /** Each transaction begins where the one before it ends, and the first one at `state`. */
  dispatch(transactions: readonly Transaction[]): void;
  /** Whether the person is at it: until then, others see no cursor. Without it, as if so. */
  readonly hasFocus?: boolean;
}

/** An editor without a view: a state, and someone who hears when its text or selection changes. */
export class HeadlessEditor implements Editor {
  changed: () => void = () => {};
  #state: EditorState;

  constructor(extensions: Extension) {
    this.#state = EditorState.create({ extensions });
  }

  get state(): EditorState {
    return this.#state;
  }

  get text(): string {
    return this.#state.sliceDoc();
  }

  dispatch(transactions: readonly Transaction[]): void {
    for (const transaction of transactions) {
      if (transaction.startState !== this.#state) {
        throw new RangeError("a transaction of another state than the editor's");
      }
      this.#state = transaction.state;
    }
    if (transactions.some(({ docChanged, selection }) => docChanged || selection)) this.changed();
  }

  /** What a person does to a view. */
  edit(change: TransactionSpec): void {
    this.dispatch([this.#state.update(change)]);
  }
}
