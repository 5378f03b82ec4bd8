import { markdownLanguage } from "@codemirror/lang-markdown";
import { Compartment, EditorState, type Extension, type Text } from "@codemirror/state";

/** A paragraph longer than this is no prose: a log, a table of data, a picture in letters. */
const LONG_UNITS = 20_000;

const language = new Compartment();

/**
 * Markdown, until a paragraph gets too long for it: then the text is plain until it is opened again.
 *
 * The parser takes a paragraph anew at each change in it; of half a million units that is a tenth of
 * a second for each letter that anybody types.
 */
export function markdownWhileItPays(): Extension {
  return [
    // Without `markdown()`, which brings whole parsers of HTML, CSS and JavaScript along.
    language.of(markdownLanguage),
    EditorState.transactionExtender.of((transaction) => {
      const { changes, docChanged, newDoc, startState } = transaction;
      if (!docChanged || language.get(startState) !== markdownLanguage) return null;
      let long = false;
      changes.iterChangedRanges((_fromA, _toA, fromB, toB) => {
        long ||= touchesLongParagraph(newDoc, fromB, toB);
      });
      return long ? { effects: language.reconfigure([]) } : null;
    }),
  ];
}

/** Whether a paragraph that the range is in or reaches into is long. Looks no further than it has to. */
export function touchesLongParagraph(text: Text, from: number, to: number): boolean {
  let line = text.lineAt(from);
  while (line.number > 1 && line.length > 0 && from - line.from <= LONG_UNITS) {
    line = text.line(line.number - 1);
  }
  let begin = line.from;
  for (;;) {
    if (line.length === 0) begin = line.to;
    if (line.to - begin > LONG_UNITS) return true;
    if (line.number === text.lines || (line.length === 0 && line.to >= to)) return false;
    line = text.line(line.number + 1);
  }
}
