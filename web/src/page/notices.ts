import { button, element } from "./element.ts";

/** A notice without anything to do about it is gone after this long. */
const READ_MS = 6_000;

export interface NoticeAction {
  readonly label: string;
  run(): void;
  /** The person is at it: it must not go now. */
  hold?(): void;
  release?(): void;
}

export interface Notice {
  close(): void;
}

/** Short messages at the foot of the page, and a voice for screen readers. */
export class Notices {
  readonly dom: HTMLElement;
  readonly #list = element("div", { class: "notices", "aria-live": "polite" });
  readonly #voice = element("p", { class: "unseen", role: "status" });
  #said = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.dom = element("section", { "aria-label": "Notices" }, this.#list, this.#voice);
  }

  /** With an action it stays until it is closed; without, for a while. */
  show(text: string, action?: NoticeAction): Notice {
    const notice = element("div", { class: "notice" }, element("span", {}, text));
    const close = () => notice.remove();
    if (action) {
      const act = button(action.label, () => action.run());
      notice.append(act);
      for (const type of ["mouseenter", "focusin"]) {
        notice.addEventListener(type, () => action.hold?.());
      }
      for (const type of ["mouseleave", "focusout"]) {
        notice.addEventListener(type, () => {
          if (!notice.matches(":hover, :focus-within")) action.release?.();
        });
      }
    } else {
      setTimeout(close, READ_MS);
    }
    this.#list.append(notice);
    return { close };
  }

  /** Says what is still so after a moment: states that come and go at once are not worth a word. */
  say(words: string, after_ms = 0): void {
    clearTimeout(this.#timer);
    if (words === this.#said) return;
    this.#timer = setTimeout(() => {
      this.#said = words;
      this.#voice.textContent = words;
    }, after_ms);
  }
}
