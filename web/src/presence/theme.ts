import { EditorView } from "@codemirror/view";

const FLAG_SHOWS = "2s";

export const theme = EditorView.baseTheme({
  ".cm-peerSelections, .cm-peerCursors": { pointerEvents: "none" },
  ".cm-peerSelection": { background: "color-mix(in srgb, var(--cm-peer) 22%, transparent)" },
  "&dark .cm-peerSelection": { background: "color-mix(in srgb, var(--cm-peer) 45%, transparent)" },
  ".cm-peerCursor": {
    width: "2px",
    marginLeft: "-1px",
    borderRadius: "1px",
    background: "var(--cm-peer)",
  },
  // Dark colours on a dark page.
  "&dark .cm-peerCursor": { background: "color-mix(in srgb, var(--cm-peer) 65%, white)" },
  ".cm-peerFlag": {
    position: "absolute",
    left: "0",
    bottom: "100%",
    maxWidth: "14em",
    padding: "1px 5px",
    overflow: "hidden",
    textOverflow: "ellipsis",
    whiteSpace: "nowrap",
    borderRadius: "3px 3px 3px 0",
    font: "600 11px/1.4 system-ui, sans-serif",
    background: "var(--cm-peer)",
    color: "var(--cm-peer-ink)",
    visibility: "hidden",
    opacity: "0",
    userSelect: "none",
  },
  ".cm-peerFlag-under": { bottom: "auto", top: "100%", borderRadius: "0 3px 3px 3px" },
  // What hangs over the right edge would make the editor scroll sideways.
  ".cm-peerFlag-leftwards": { left: "auto", right: "0", borderRadius: "3px 3px 0 3px" },
  ".cm-peerFlag-under.cm-peerFlag-leftwards": { borderRadius: "3px 0 3px 3px" },
  ".cm-peerFlag-0": { animation: `cm-peerFlag-0 ${FLAG_SHOWS} ease-in` },
  ".cm-peerFlag-1": { animation: `cm-peerFlag-1 ${FLAG_SHOWS} ease-in` },
  ".cm-peerCursor-near .cm-peerFlag": { visibility: "visible", opacity: "1", animation: "none" },
  "@keyframes cm-peerFlag-0": fading(),
  "@keyframes cm-peerFlag-1": fading(),
  "@media (prefers-reduced-motion: reduce)": {
    ".cm-peerFlag": { animationTimingFunction: "step-end" },
  },
});

function fading() {
  return {
    "from, 80%": { visibility: "visible", opacity: "1" },
    to: { visibility: "visible", opacity: "0" },
  };
}
