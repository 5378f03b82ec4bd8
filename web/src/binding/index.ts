/** CodeMirror 6 as a replica of a document, over the official `@codemirror/collab`. */
export {
  Binding,
  type BindingEvents,
  collaborative,
  type Held,
  type Status,
  type Unsent,
} from "./binding.ts";
export { type Editor, HeadlessEditor } from "./editor.ts";
export { undoable } from "./undo.ts";
