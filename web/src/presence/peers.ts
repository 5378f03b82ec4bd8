import { StateEffect, StateField } from "@codemirror/state";
import { mapRange, type Peer } from "../connection/index.ts";

/** A peer as the editor shows it: its ranges are in the editor's text. */
export interface Shown extends Peer {
  /** Grows whenever the peer itself has moved, and not where others' text moved it. */
  readonly moves: number;
}

/** All peers, as they are from here on. */
export const showPeers = StateEffect.define<readonly Peer[]>();

/** The peers, carried along with every change of the text between two effects. */
export const shownPeers = StateField.define<readonly Shown[]>({
  create: () => [],
  update(shown, transaction) {
    let peers = shown;
    if (transaction.docChanged && peers.length > 0) {
      const { changes } = transaction;
      peers = peers.map((peer) => ({
        ...peer,
        ranges: peer.ranges.map((range) =>
          mapRange(range, (at, side) => changes.mapPos(at, side === "before" ? -1 : 1), false),
        ),
      }));
    }
    for (const effect of transaction.effects) {
      if (effect.is(showPeers)) peers = replaced(peers, effect.value, transaction.newDoc.length);
    }
    return peers;
  },
});

function replaced(
  before: readonly Shown[],
  peers: readonly Peer[],
  length: number,
): readonly Shown[] {
  const former = new Map(before.map((shown) => [shown.client, shown]));
  return peers.map((peer) => {
    const ranges = peer.ranges.map(
      ([anchor, head]) => [Math.min(anchor, length), Math.min(head, length)] as const,
    );
    const was = former.get(peer.client);
    const moved = was?.ranges[0]?.[1] !== ranges[0]?.[1];
    return { ...peer, ranges, moves: (was?.moves ?? 0) + (moved ? 1 : 0) };
  });
}
