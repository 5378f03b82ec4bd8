import { syntaxTree } from "@codemirror/language";
import { type Extension, RangeSetBuilder } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";

/** Markdown's blocks whose lines look another way as a whole, by the parser's names. */
const CLASSES: Readonly<Record<string, string>> = {
  ATXHeading1: "md-line-h1",
  SetextHeading1: "md-line-h1",
  ATXHeading2: "md-line-h2",
  SetextHeading2: "md-line-h2",
  ATXHeading3: "md-line-h3",
  Blockquote: "md-line-quote",
  FencedCode: "md-line-code",
  CodeBlock: "md-line-code",
};

/** Gives the lines in sight the classes of their blocks. */
export const blocks: Extension = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = decorated(view);
    }

    update({ view, docChanged, viewportChanged, startState, state }: ViewUpdate): void {
      if (docChanged || viewportChanged || syntaxTree(startState) !== syntaxTree(state)) {
        this.decorations = decorated(view);
      }
    }
  },
  { decorations: ({ decorations }) => decorations },
);

function decorated(view: EditorView): DecorationSet {
  const classes = new Map<number, string>();
  const { doc } = view.state;
  const { from, to } = view.viewport;
  syntaxTree(view.state).iterate({
    from,
    to,
    enter: (node) => {
      const name = CLASSES[node.name];
      if (!name) return;
      const first = doc.lineAt(Math.max(node.from, from));
      for (let line = first; ; line = doc.line(line.number + 1)) {
        const edges =
          (line.from <= node.from ? ` ${name}-first` : "") +
          (line.to >= node.to ? ` ${name}-last` : "");
        classes.set(line.from, `${classes.get(line.from) ?? ""} ${name}${edges}`.trim());
        if (line.to >= Math.min(node.to, to) || line.number === doc.lines) break;
      }
    },
  });
  const builder = new RangeSetBuilder<Decoration>();
  for (const [at, name] of [...classes].sort(([a], [b]) => a - b)) {
    builder.add(at, at, Decoration.line({ class: name }));
  }
  return builder.finish();
}
