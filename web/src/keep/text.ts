import { ChangeSet, Text } from "@codemirror/state";
import type { Changes } from "../connection/index.ts";

/** The text after the changes. */
export function replay(text: string, journal: Iterable<Changes>): string {
  let doc = Text.of(text.split("\n"));
  for (const changes of journal) doc = ChangeSet.fromJSON(changes).apply(doc);
  return doc.toString();
}
