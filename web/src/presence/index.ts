/** Others' cursors and selections in a CodeMirror editor, as a binding shows them. */
export { remoteCursors } from "./cursors.ts";
export { type Shown, shownPeers, showPeers } from "./peers.ts";
