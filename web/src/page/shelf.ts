import { Denied } from "../connection/index.ts";
import type { Around, View } from "./around.ts";
import { go } from "./around.ts";
import type { DocumentSummary, Sort } from "./documents.ts";
import { button, element, unseen } from "./element.ts";
import { enter } from "./entrance.ts";
import { helpButton, isMod } from "./help.ts";
import { icon } from "./icons.ts";
import { Listing } from "./listing.ts";
import type { Notice } from "./notices.ts";
import { nameButton } from "./person.ts";
import { Removals } from "./removals.ts";
import { why } from "./rest.ts";
import { Row } from "./row.ts";
import { countInWords } from "./words.ts";

/** How often the list is looked at anew: who is where, and what changed when. */
const REFRESH_MS = 20_000;

const SORTS: readonly (readonly [Sort, string])[] = [
  ["-updated_at", "Last changed"],
  ["-created_at", "Newest"],
  ["title", "Title"],
];

/** The list of documents, and the way to a new one. */
export class Shelf implements View {
  readonly #around: Around;
  readonly #opened: (fresh: string) => void;
  readonly #listing: Listing;
  readonly #removals: Removals<DocumentSummary>;
  readonly #rows = new Map<string, Row>();
  readonly #undo = new Map<string, Notice>();
  readonly #leaving = new AbortController();

  readonly #list = element("ul", { id: "documents" });
  readonly #note = element("p", { id: "note", role: "status" });
  readonly #search = searchField();
  readonly #more = button("Show more", () => void this.#showMore(), { class: "more" });
  readonly #again = button("Try again", () => void this.#listing.load());
  readonly #signIn = button("Sign in", () => void this.#enter());
  readonly #empty = element("div", { class: "empty" });
  readonly #new: HTMLButtonElement;

  /** `opened` hears of a document that was made here, before it is gone to. */
  constructor(place: HTMLElement, around: Around, opened: (fresh: string) => void) {
    this.#around = around;
    this.#opened = opened;
    this.#listing = new Listing(
      (wanted) => around.documents.page(wanted),
      () => this.#show(),
    );
    this.#removals = new Removals((id, leaving) => around.documents.delete(id, leaving), {
      changed: () => {
        this.#closeNotices();
        this.#show();
      },
      done: ({ id }) => this.#listing.drop(id),
      failed: (item, error) => {
        around.notices.show(`“${item.title}” was not deleted. ${why(error)}`);
      },
    });
    this.#new = button("New document", () => void this.#create(), {
      id: "new",
      class: "primary",
      title: "New document (Alt N)",
    });
    this.#new.prepend(icon("plus"));
    this.#build(place);
    this.#watch();
    this.#show();
    void this.#listing.load();
  }

  mayLeave(): boolean {
    return true;
  }

  leave(): void {
    this.#leaving.abort();
    this.#listing.close();
    this.#removals.settle();
  }

  #build(place: HTMLElement): void {
    document.title = "Documents · Collab";
    const sort = element("select", { "aria-label": "Sort by" });
    sort.append(...SORTS.map(([value, label]) => element("option", { value }, label)));
    sort.addEventListener("change", () => this.#listing.sortBy(sort.value as Sort));
    this.#search.addEventListener("input", () => this.#listing.search(this.#search.value));
    this.#empty.append(
      element("p", { class: "large" }, "A blank page, and nobody in your way."),
      element("p", {}, "Write something, send its link to somebody, and go on together."),
      button("Write the first one", () => void this.#create()),
    );
    place.replaceChildren(
      element(
        "header",
        { class: "bar" },
        element("span", { class: "brand" }, "Collab"),
        nameButton(this.#around, () => void this.#listing.load()),
        helpButton(),
      ),
      element(
        "main",
        { id: "main", class: "shelf", tabindex: "-1" },
        element("div", { class: "head" }, element("h1", {}, "Documents"), this.#new),
        element(
          "div",
          { class: "tools", role: "search" },
          element("label", { class: "search" }, icon("search"), unseen("Search"), this.#search),
          sort,
        ),
        element("div", { class: "noted" }, this.#note, this.#again, this.#signIn),
        this.#list,
        this.#empty,
        this.#more,
      ),
    );
  }

  #watch(): void {
    const { signal } = this.#leaving;
    const refresh = () => {
      if (!document.hidden && !this.#editing) void this.#listing.refresh();
      this.#show();
    };
    const timer = setInterval(refresh, REFRESH_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    document.addEventListener(
      "visibilitychange",
      () => (document.hidden ? this.#removals.settle() : refresh()),
      { signal },
    );
    window.addEventListener("pagehide", () => this.#removals.settle(), { signal });
    window.addEventListener("online", refresh, { signal });
    window.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  // What is shown

  #show(): void {
    const { items, state, query } = this.#listing;
    const shown = items.filter(({ id }) => !this.#removals.has(id));
    const now = new Date();
    this.#place(
      shown.map((item) => {
        const row = this.#rows.get(item.id) ?? this.#row(item);
        row.show(item, now);
        return row.dom;
      }),
    );
    const none = shown.length === 0 && state.kind === "ready" && !state.more;
    this.#empty.hidden = !none || query !== "";
    this.#list.hidden = shown.length === 0;
    this.#list.setAttribute("aria-busy", String(state.kind === "loading"));
    this.#more.hidden = !(state.kind === "ready" && state.more);
    const signedOut = state.kind === "failed" && state.error instanceof Denied;
    this.#again.hidden = state.kind !== "failed" || signedOut;
    this.#signIn.hidden = !signedOut;
    this.#tell(shown.length);
  }

  #tell(shown: number): void {
    const { state, query } = this.#listing;
    // While an answer is on its way, what was said before stands: no flicker.
    if (state.kind === "loading" && (shown > 0 || this.#note.textContent)) return;
    this.#note.classList.toggle("failure", state.kind === "failed");
    let words = "";
    if (state.kind === "failed") words = `No list. ${why(state.error)}`;
    else if (state.kind === "loading") words = "Loading…";
    else if (this.#empty.hidden) words = countInWords(shown, state.more, query);
    // The same words once more would be read out once more.
    if (words !== this.#note.textContent) this.#note.textContent = words;
  }

  /** Only what has another place is moved, and the focus stays where it was. */
  #place(rows: readonly HTMLElement[]): void {
    const focused = document.activeElement;
    const wanted = new Set<Element>(rows);
    for (const child of [...this.#list.children]) if (!wanted.has(child)) child.remove();
    rows.forEach((row, at) => {
      if (this.#list.children[at] !== row) {
        this.#list.insertBefore(row, this.#list.children[at] ?? null);
      }
    });
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus();
  }

  #row(item: DocumentSummary): Row {
    const row = new Row(item, {
      rename: (document, title) => this.#rename(document, title),
      remove: (document) => this.#remove(document),
    });
    this.#rows.set(item.id, row);
    return row;
  }

  // What is done

  async #enter(): Promise<void> {
    if (await enter(this.#around, "sign in")) void this.#listing.load();
  }

  async #create(): Promise<void> {
    try {
      const { id } = await this.#around.documents.create("Untitled");
      if (this.#leaving.signal.aborted) return;
      this.#opened(id);
      go(id);
    } catch (error) {
      this.#around.notices.show(`No new document. ${why(error)}`);
    }
  }

  async #rename(document: DocumentSummary, title: string): Promise<void> {
    this.#listing.put({ ...document, title });
    try {
      this.#listing.put(await this.#around.documents.rename(document.id, title));
    } catch (error) {
      this.#listing.put(document);
      this.#around.notices.show(`“${document.title}” was not renamed. ${why(error)}`);
      throw error;
    }
  }

  #remove(item: DocumentSummary): void {
    const beside = this.#beside(item.id);
    this.#removals.remove(item);
    (beside ?? this.#new).focus();
    const notice = this.#around.notices.show(`“${item.title}” is deleted.`, {
      label: "Undo",
      run: () => this.#takeBack(item.id),
      hold: () => this.#removals.hold(item.id),
      release: () => this.#removals.release(item.id),
    });
    this.#undo.set(item.id, notice);
  }

  #takeBack(id: string): void {
    if (this.#removals.undo(id)) this.#rows.get(id)?.focus();
  }

  /** Of what cannot be taken back any more. */
  #closeNotices(): void {
    for (const [id, notice] of this.#undo) {
      if (this.#removals.undoable(id)) continue;
      notice.close();
      this.#undo.delete(id);
    }
  }

  async #showMore(): Promise<void> {
    const last = this.#links.at(-1);
    await this.#listing.more();
    // The button may be gone: the focus goes to the first of the new ones.
    if (this.#leaving.signal.aborted) return;
    this.#links[last ? this.#links.indexOf(last) + 1 : 0]?.focus();
  }

  // The keyboard

  #key(event: KeyboardEvent): void {
    if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
    if (event.altKey && event.code === "KeyN") {
      event.preventDefault();
      void this.#create();
    } else if (isMod(event) && event.key === "k") {
      event.preventDefault();
      this.#search.select();
    } else if (isMod(event) && event.key === "z" && !this.#writing) {
      const last = [...this.#undo.keys()].at(-1);
      if (last) this.#takeBack(last);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      this.#step(event, event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape" && event.target === this.#search) {
      this.#search.value = "";
      this.#listing.search("");
    } else if (event.key === "F2") {
      this.#focused?.rename();
    } else if (event.key === "Delete") {
      if (!this.#writing) this.#focused?.remove();
    }
  }

  #step(event: KeyboardEvent, by: 1 | -1): void {
    const links = this.#links;
    const at = links.findIndex((link) => link.closest("li")?.contains(document.activeElement));
    if (at === -1 && event.target !== this.#search) return;
    if (this.#editing) return;
    const next = at + by < 0 ? this.#search : links[at + by];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  get #links(): readonly HTMLElement[] {
    return [...this.#list.querySelectorAll<HTMLElement>("a.open")];
  }

  get #focused(): Row | undefined {
    return [...this.#rows.values()].find(({ dom }) => dom.contains(document.activeElement));
  }

  /** A title is being changed. */
  get #editing(): boolean {
    return this.#list.querySelector("textarea") !== null;
  }

  /** The focus is where text is typed. */
  get #writing(): boolean {
    return document.activeElement?.matches("input, textarea") ?? false;
  }

  /** The link after a document's, or before it. */
  #beside(id: string): HTMLElement | undefined {
    const links = this.#links;
    const at = links.findIndex((link) => link.getAttribute("href") === `#${id}`);
    return links[at + 1] ?? links[at - 1];
  }
}

function searchField(): HTMLInputElement {
  return element("input", {
    type: "search",
    placeholder: "Search titles",
    maxlength: "200",
    autocomplete: "off",
    spellcheck: "false",
  });
}
