import { defaultKeymap, historyKeymap } from "@codemirror/commands";
import { markdownKeymap } from "@codemirror/lang-markdown";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder, ViewPlugin } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { undoable } from "../binding/index.ts";
import { remoteCursors } from "../presence/index.ts";
import { blocks } from "./blocks.ts";
import { markdownWhileItPays } from "./markdown.ts";
import { markupKeymap } from "./markup.ts";

/** How Markdown looks is in `style/text.css`; here is only what is what. */
const looks = HighlightStyle.define([
  { tag: tags.heading1, class: "md-h1" },
  { tag: tags.heading2, class: "md-h2" },
  { tag: [tags.heading3, tags.heading4, tags.heading5, tags.heading6], class: "md-h3" },
  { tag: tags.emphasis, class: "md-emphasis" },
  { tag: tags.strong, class: "md-strong" },
  { tag: tags.strikethrough, class: "md-struck" },
  { tag: tags.link, class: "md-link" },
  { tag: tags.url, class: "md-url" },
  { tag: tags.monospace, class: "md-code" },
  { tag: tags.quote, class: "md-quote" },
  { tag: [tags.processingInstruction, tags.labelName], class: "md-mark" },
  { tag: tags.contentSeparator, class: "md-rule" },
  { tag: tags.atom, class: "md-task" },
]);

/** The panel's words, written like the page's own. */
const PHRASES = {
  next: "Next",
  previous: "Previous",
  "match case": "Match case",
  regexp: "Pattern",
  "by word": "Whole words",
  replace: "Replace",
  "replace all": "Replace all",
};

/** How far the cursor keeps from what lies over the text. */
const MARGIN_PX = 20;

/**
 * Writing Markdown: its looks, its keys, find and replace, undo of one's own. `covered_px` is how
 * much of the window's top lies over the text. `writable` or `readOnly` belongs beside it.
 */
export function writing(covered_px: () => number): Extension {
  return [
    undoable,
    remoteCursors,
    followsScheme(),
    markdownWhileItPays(),
    Prec.high(keymap.of(markdownKeymap)),
    syntaxHighlighting(looks),
    blocks,
    search({ top: true }),
    EditorState.phrases.of(PHRASES),
    highlightSelectionMatches({ minSelectionLength: 2 }),
    keymap.of([...markupKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap]),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({
      "aria-label": "Text",
      autocapitalize: "sentences",
      autocorrect: "on",
      spellcheck: "true",
    }),
    EditorView.scrollMargins.of(() => ({ top: covered_px() + MARGIN_PX, bottom: MARGIN_PX })),
    EditorView.cspNonce.of(nonce()),
  ];
}

/** One may write. */
export const writable: Extension = placeholder(
  "Write here. Markdown works: # heading, *emphasis*, - list",
);

/** One may read, select and copy. `empty` stands in the place of a text that is empty. */
export function readOnly(empty: string): Extension {
  return [EditorState.readOnly.of(true), placeholder(empty)];
}

/** What adds its own looks to the editor asks it whether it is dark. */
function followsScheme(): Extension {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const scheme = new Compartment();
  const watching = ViewPlugin.define((view) => {
    const follow = () => {
      view.dispatch({ effects: scheme.reconfigure(EditorView.darkTheme.of(dark.matches)) });
    };
    dark.addEventListener("change", follow);
    return { destroy: () => dark.removeEventListener("change", follow) };
  });
  return [scheme.of(EditorView.darkTheme.of(dark.matches)), watching];
}

/** The server gives each page a nonce for the styles that the editor writes. */
function nonce(): string {
  return document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
}
