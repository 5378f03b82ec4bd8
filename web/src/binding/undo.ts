import { history } from "@codemirror/commands";
import { Compartment, type Extension } from "@codemirror/state";
import type { Editor } from "./editor.ts";

const compartment = new Compartment();

/** CodeMirror's undo history, which the binding can make forget what is past. */
export const undoable: Extension = compartment.of(history());

export function forgetUndo(editor: Editor): void {
  if (!compartment.get(editor.state)) return;
  for (const extension of [[], history()]) {
    editor.dispatch([editor.state.update({ effects: compartment.reconfigure(extension) })]);
  }
}
