import { openDialog } from "./dialog.ts";
import { button, element, iconButton } from "./element.ts";

/** The key that is ⌘ on a Mac and Ctrl elsewhere. */
export const MOD = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";

type Shortcut = readonly [keys: string, what: string];

const EVERYWHERE: readonly Shortcut[] = [[`${MOD} /`, "These shortcuts"]];

const LIST: readonly Shortcut[] = [
  ["Alt N", "New document"],
  [`${MOD} K`, "Search"],
  ["↑ ↓", "From document to document"],
  ["F2", "Rename"],
  ["Delete", "Delete"],
  [`${MOD} Z`, "Take a deletion back"],
];

const TEXT: readonly Shortcut[] = [
  [`${MOD} F`, "Find and replace"],
  [`${MOD} B`, "Bold"],
  [`${MOD} I`, "Emphasis"],
  [`${MOD} E`, "Code"],
  [`${MOD} Z`, "Undo what you typed"],
  [`${MOD} Shift Z`, "Redo"],
  ["F2", "Rename the document"],
  [`${MOD} ]`, "Indent"],
];

let open: HTMLDialogElement | null = null;

export function showHelp(): void {
  if (open?.isConnected) return;
  open = openDialog(
    "Shortcuts",
    element(
      "div",
      { class: "shortcuts" },
      group("Everywhere", EVERYWHERE),
      group("In the list", LIST),
      group("In a text", TEXT),
    ),
    element(
      "div",
      { class: "choices" },
      button("Close", () => open?.close(), { class: "primary" }),
    ),
  );
}

export function helpButton(): HTMLButtonElement {
  const made = iconButton("help", "Shortcuts", showHelp);
  made.classList.add("help");
  return made;
}

export function isMod(event: KeyboardEvent): boolean {
  return MOD === "⌘" ? event.metaKey : event.ctrlKey;
}

/** The shortcuts' own shortcut, wherever the focus is. */
export function listenForHelp(): void {
  const listen = (event: KeyboardEvent) => {
    if (event.key !== "/" || !isMod(event)) return;
    // Before the editor, to which the same keys mean a comment.
    event.preventDefault();
    event.stopPropagation();
    showHelp();
  };
  window.addEventListener("keydown", listen, { capture: true });
}

function group(heading: string, shortcuts: readonly Shortcut[]): HTMLElement {
  const rows = shortcuts.map(([keys, what]) =>
    element("div", {}, element("dt", {}, ...keysIn(keys)), element("dd", {}, what)),
  );
  return element("section", {}, element("h3", {}, heading), element("dl", {}, ...rows));
}

function keysIn(keys: string): Node[] {
  return keys.split(" ").map((key) => element("kbd", {}, key));
}
