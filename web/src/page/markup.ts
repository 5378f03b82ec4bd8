import { EditorSelection, type StateCommand } from "@codemirror/state";
import type { KeyBinding } from "@codemirror/view";

/** Puts a mark on both sides of each selection, or takes it away where it is. */
export function toggled(mark: string): StateCommand {
  const size = mark.length;
  return ({ state, dispatch }) => {
    if (state.readOnly) return false;
    const changes = state.changeByRange(({ from, to }) => {
      if (marked(state.sliceDoc(from - 3, from), state.sliceDoc(to, to + 3), mark)) {
        return {
          changes: [
            { from: from - size, to: from },
            { from: to, to: to + size },
          ],
          range: EditorSelection.range(from - size, to - size),
        };
      }
      return {
        changes: [
          { from, insert: mark },
          { from: to, insert: mark },
        ],
        range: EditorSelection.range(from + size, to + size),
      };
    });
    dispatch(state.update(changes, { userEvent: "input", scrollIntoView: true }));
    return true;
  };
}

/** Between `**` and `**` a text is strong, and no emphasis is there to be taken away. */
function marked(before: string, after: string, mark: string): boolean {
  const [character] = mark;
  let run = 0;
  while (run < after.length && before.at(-1 - run) === character && after[run] === character) run++;
  return mark.length === 1 ? run % 2 === 1 : run >= mark.length;
}

export const markupKeymap: readonly KeyBinding[] = [
  { key: "Mod-b", run: toggled("**"), preventDefault: true },
  { key: "Mod-i", run: toggled("*"), preventDefault: true },
  { key: "Mod-e", run: toggled("`"), preventDefault: true },
];
