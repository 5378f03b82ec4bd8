import { EditorSelection, type Extension } from "@codemirror/state";
import {
  type EditorView,
  type LayerMarker,
  layer,
  RectangleMarker,
  ViewPlugin,
} from "@codemirror/view";
import type { Range } from "../connection/index.ts";
import { type Shown, shownPeers } from "./peers.ts";
import { theme } from "./theme.ts";

/** How near the pointer has to come for a name to show. */
const NEAR_PX = 6;

/**
 * Draws every peer's cursors and selections, each in the peer's colour. A cursor bears a flag with
 * the name, which shows for a moment when the peer moves, and while the pointer is near.
 *
 * All of it lies in layers over and under the text: the text does not move, and no click is taken.
 * Colours and places are set through CSSOM, which a Content Security Policy allows.
 */
export const remoteCursors: Extension = [
  shownPeers,
  layer({
    above: false,
    class: "cm-peerSelections",
    update: changed,
    markers: (view) => shown(view).flatMap((peer) => selections(view, peer)),
  }),
  layer({
    above: true,
    class: "cm-peerCursors",
    update: changed,
    markers: (view) => shown(view).flatMap((peer) => cursors(view, peer)),
  }),
  hovering(),
  theme,
];

function shown(view: EditorView): readonly Shown[] {
  return view.state.field(shownPeers);
}

function changed(update: { startState: EditorView["state"]; state: EditorView["state"] }): boolean {
  return update.startState.field(shownPeers) !== update.state.field(shownPeers);
}

function selections(view: EditorView, { ranges, color }: Shown): LayerMarker[] {
  return ranges
    .filter(([anchor, head]) => anchor !== head)
    .flatMap(([anchor, head]) => rectangles(view, anchor, head))
    .map((place) => new Selection(place, color));
}

function cursors(view: EditorView, peer: Shown): LayerMarker[] {
  const width = view.scrollDOM.clientWidth;
  return peer.ranges.flatMap(([, head]: Range, index) =>
    rectangles(view, head, head).map((place) => new Cursor(place, peer, index === 0, width)),
  );
}

/** Nothing for what is not drawn: only a part of a long text is. */
function rectangles(view: EditorView, anchor: number, head: number): readonly RectangleMarker[] {
  const length = view.state.doc.length;
  const range = EditorSelection.range(Math.min(anchor, length), Math.min(head, length));
  return RectangleMarker.forRange(view, "", range);
}

class Selection implements LayerMarker {
  readonly #place: RectangleMarker;
  readonly #color: string;

  constructor(place: RectangleMarker, color: string) {
    this.#place = place;
    this.#color = color;
  }

  eq(other: LayerMarker): boolean {
    return (
      other instanceof Selection && other.#color === this.#color && other.#place.eq(this.#place)
    );
  }

  draw(): HTMLElement {
    const dom = document.createElement("div");
    dom.className = "cm-peerSelection";
    this.#set(dom);
    return dom;
  }

  update(dom: HTMLElement): boolean {
    this.#set(dom);
    return true;
  }

  #set({ style }: HTMLElement): void {
    const { left, top, width, height } = this.#place;
    style.setProperty("--cm-peer", this.#color);
    style.left = `${left}px`;
    style.top = `${top}px`;
    style.width = `${width ?? 0}px`;
    style.height = `${height}px`;
  }
}

class Cursor implements LayerMarker {
  readonly #place: RectangleMarker;
  readonly #peer: Shown;
  /** The main one has the flag. */
  readonly #main: boolean;
  readonly #flag: string;

  constructor(place: RectangleMarker, peer: Shown, main: boolean, width: number) {
    this.#place = place;
    this.#peer = peer;
    this.#main = main;
    const under = place.top < place.height ? " cm-peerFlag-under" : "";
    const leftwards = place.left > width / 2 ? " cm-peerFlag-leftwards" : "";
    // One animation in two names: what has another name begins anew.
    this.#flag = `cm-peerFlag cm-peerFlag-${peer.moves % 2}${under}${leftwards}`;
  }

  eq(other: LayerMarker): boolean {
    if (!(other instanceof Cursor) || !other.#place.eq(this.#place)) return false;
    const [one, two] = [this.#peer, other.#peer];
    return (
      this.#main === other.#main &&
      this.#flag === other.#flag &&
      one.client === two.client &&
      one.name === two.name &&
      one.color === two.color
    );
  }

  draw(): HTMLElement {
    const dom = document.createElement("div");
    dom.className = "cm-peerCursor";
    if (this.#main) dom.append(document.createElement("div"));
    this.#set(dom);
    return dom;
  }

  update(dom: HTMLElement, former: LayerMarker): boolean {
    const same =
      former instanceof Cursor &&
      former.#peer.client === this.#peer.client &&
      former.#main === this.#main;
    if (same) this.#set(dom);
    return same;
  }

  #set(dom: HTMLElement): void {
    const { left, top, height } = this.#place;
    const { color, name } = this.#peer;
    dom.style.setProperty("--cm-peer", color);
    dom.style.setProperty("--cm-peer-ink", ink(color));
    dom.style.left = `${left}px`;
    dom.style.top = `${top}px`;
    dom.style.height = `${height}px`;
    const flag = dom.firstElementChild;
    if (!flag) return;
    if (flag.className !== this.#flag) flag.className = this.#flag;
    if (flag.textContent !== name) flag.textContent = name;
  }
}

/** Black or white, whichever stands out more against the colour: by 4.5 to 1 at the least. */
export function ink(color: string): string {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** Cursors take no pointer events, so it is the editor that sees the pointer come near one. */
function hovering(): Extension {
  const plugin = ViewPlugin.define(() => ({}), {
    eventObservers: {
      mousemove(event, view) {
        view.requestMeasure({
          key: plugin,
          read: () => cursorsOf(view).map((dom) => [dom, isNear(dom, event)] as const),
          write: (found) => {
            for (const [dom, near] of found) dom.classList.toggle("cm-peerCursor-near", near);
          },
        });
      },
      mouseleave(_, view) {
        for (const dom of cursorsOf(view)) dom.classList.remove("cm-peerCursor-near");
      },
    },
  });
  return plugin;
}

function cursorsOf(view: EditorView): HTMLElement[] {
  return [...view.scrollDOM.querySelectorAll<HTMLElement>(".cm-peerCursor")];
}

function isNear(dom: HTMLElement, { clientX, clientY }: MouseEvent): boolean {
  const { left, right, top, bottom } = dom.getBoundingClientRect();
  return (
    clientX > left - NEAR_PX &&
    clientX < right + NEAR_PX &&
    clientY > top - NEAR_PX &&
    clientY < bottom + NEAR_PX
  );
}
