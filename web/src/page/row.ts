import type { Role } from "../connection/index.ts";
import type { DocumentSummary } from "./documents.ts";
import { element, iconButton, unseen } from "./element.ts";
import { Title } from "./rename.ts";
import { writes } from "./sharing.ts";
import { ago, exactly } from "./time.ts";
import { editorsInWords } from "./words.ts";

export interface RowActions {
  rename(document: DocumentSummary, title: string): Promise<void>;
  remove(document: DocumentSummary): void;
}

/** One document in the list. */
export class Row {
  readonly dom = element("li", { class: "row" });
  readonly #title: Title;
  readonly #link = element("a", { class: "open" });
  readonly #about = element("p", { class: "about" });
  readonly #actions: RowActions;
  /** What the buttons are about, for screen readers. */
  readonly #objects = [unseen(""), unseen("")] as const;
  readonly #choices = element("div", { class: "actions" });
  #document: DocumentSummary;
  /** For which role there are choices. */
  #offers: Role | null = null;

  constructor(document: DocumentSummary, actions: RowActions) {
    this.#document = document;
    this.#actions = actions;
    this.#link.href = `#${document.id}`;
    this.#title = new Title(
      element("h2", {}),
      document.title,
      (title) => {
        this.#link.textContent = title;
        return this.#link;
      },
      {
        label: "New title",
        save: (title) => actions.rename(this.#document, title),
        done: () => this.focus(),
      },
    );
    this.#build();
    this.show(document, new Date());
  }

  show(document: DocumentSummary, now: Date): void {
    this.#document = document;
    this.#title.title = document.title;
    for (const object of this.#objects) object.textContent = document.title;
    const { role, owner, editors } = document;
    const changed = new Date(document.updated_at);
    const time = element(
      "time",
      { datetime: document.updated_at, title: exactly(changed) },
      `changed ${ago(changed, now)}`,
    );
    this.#offer(role);
    const facts: Node[] = [
      element("span", { class: "owner" }, role === "owner" ? "Yours" : `By ${owner.name}`),
      ...(writes(role) ? [] : [element("span", {}, "read only")]),
      time,
    ];
    if (editors > 0) {
      facts.push(element("span", { class: "here" }, editorsInWords(editors)));
    }
    this.#about.replaceChildren(...facts);
  }

  focus(): void {
    this.#link.focus();
  }

  rename(): void {
    if (writes(this.#document.role)) this.#title.edit();
  }

  remove(): void {
    if (this.#document.role === "owner") this.#actions.remove(this.#document);
  }

  /** What the person may do with it here, which can change while it is listed. */
  #offer(role: Role): void {
    if (role === this.#offers) return;
    this.#offers = role;
    const [renamed, removed] = this.#objects;
    this.#choices.replaceChildren(
      ...(writes(role) ? [action("edit", "Rename", renamed, () => this.rename())] : []),
      ...(role === "owner" ? [action("trash", "Delete", removed, () => this.remove())] : []),
    );
  }

  #build(): void {
    this.dom.append(element("div", { class: "what" }, this.#title.dom, this.#about), this.#choices);
  }
}

function action(
  name: "edit" | "trash",
  label: string,
  object: HTMLElement,
  run: () => void,
): HTMLButtonElement {
  const made = iconButton(name, label, run);
  made.removeAttribute("aria-label");
  made.append(unseen(`${label} `), object);
  return made;
}
