import type { ChangeDesc, ChangeSet, EditorSelection } from "@codemirror/state";
import { mapRange, type Peer, type Range, type Side } from "../connection/index.ts";

/** A selection of the editor's text, in the confirmed text: the main range first (A1). */
export function confirmedRanges(
  { ranges, main }: EditorSelection,
  unsent: readonly ChangeSet[],
): Range[] {
  const back = unsent.map((changes) => changes.invertedDesc).reverse();
  const others = ranges.filter((range) => range !== main);
  return [main, ...others].map(({ anchor, head }) => through([anchor, head], back));
}

/** Peers with their ranges in the editor's text. */
export function shownPeers(peers: readonly Peer[], unsent: readonly ChangeSet[]): readonly Peer[] {
  if (unsent.length === 0) return peers;
  return peers.map((peer) => ({
    ...peer,
    ranges: peer.ranges.map((range) => through(range, unsent)),
  }));
}

function through(range: Range, all: readonly ChangeDesc[]): Range {
  return all.reduce<Range>(
    (mapped, changes) => mapRange(mapped, (at, side) => mapPos(changes, at, side), false),
    range,
  );
}

/** Where the position is outside, somebody else is mistaken, and that is no reason to fail. */
function mapPos(changes: ChangeDesc, at: number, side: Side): number {
  return changes.mapPos(Math.min(at, changes.length), side === "before" ? -1 : 1);
}
