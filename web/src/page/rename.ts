import { button, element } from "./element.ts";

/** As long a title as the page takes. */
const MAX_UNITS = 200;

export interface Renaming {
  /** For screen readers: what is named. */
  readonly label: string;
  /** Sends the new title. What it throws is the caller's to tell; the old title comes back. */
  save(title: string): Promise<void>;
  /** After Enter and Escape, the focus may go on from the title. */
  done?(how: "saved" | "cancelled"): void;
}

/**
 * A title that is renamed where it stands: Enter and leaving it save, Escape does not.
 *
 * The field lies over its own text in the same cell of a grid, so that nothing around it moves.
 */
export class Title {
  readonly dom: HTMLElement;
  readonly #show: (title: string) => Node;
  readonly #renaming: Renaming;
  #title: string;
  #field: HTMLTextAreaElement | null = null;
  #locked = false;

  /** `show` makes what is seen while nobody is renaming. */
  constructor(dom: HTMLElement, title: string, show: (title: string) => Node, renaming: Renaming) {
    this.dom = dom;
    this.#title = title;
    this.#show = show;
    this.#renaming = renaming;
    this.#rest();
  }

  get title(): string {
    return this.#title;
  }

  /** Somebody else may have renamed it. What is being typed here stays. */
  set title(title: string) {
    if (title === this.#title) return;
    this.#title = title;
    if (!this.#field) this.#rest();
  }

  /** It is not this person's to rename. */
  set locked(locked: boolean) {
    if (locked === this.#locked) return;
    this.#locked = locked;
    if (!this.#field) this.#rest();
  }

  edit(): void {
    if (this.#field || this.#locked) return;
    const field = element("textarea", {
      "aria-label": this.#renaming.label,
      rows: "1",
      maxlength: String(MAX_UNITS),
      spellcheck: "false",
      autocomplete: "off",
    });
    const mirror = element("span", { class: "mirror", "aria-hidden": "true" });
    const grow = () => {
      const oneLine = field.value.replace(/[\r\n]+/g, " ");
      if (oneLine !== field.value) field.value = oneLine;
      mirror.textContent = `${field.value} `;
    };
    field.value = this.#title;
    field.addEventListener("input", grow);
    field.addEventListener("blur", () => void this.#finish("saved", false));
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter" || event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        void this.#finish(event.key === "Enter" ? "saved" : "cancelled", true);
      }
    });
    grow();
    this.#field = field;
    this.dom.replaceChildren(element("span", { class: "renaming" }, mirror, field));
    field.focus();
    field.select();
  }

  async #finish(how: "saved" | "cancelled", goOn: boolean): Promise<void> {
    const field = this.#field;
    if (!field) return;
    this.#field = null;
    const former = this.#title;
    const wanted = field.value.trim();
    const renamed = how === "saved" && wanted !== "" && wanted !== former;
    if (renamed) this.#title = wanted;
    this.#rest();
    if (goOn) this.#renaming.done?.(how);
    if (!renamed) return;
    try {
      await this.#renaming.save(wanted);
    } catch {
      if (this.#title === wanted) this.title = former;
    }
  }

  #rest(): void {
    this.dom.replaceChildren(this.#locked ? this.#title : this.#show(this.#title));
  }
}

/** A title that is a button to rename it by. */
export function titleButton(title: string, edit: () => void): HTMLButtonElement {
  return button(title, edit, { class: "rename", title: "Rename" });
}
