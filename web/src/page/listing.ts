import type { DocumentSummary, Page, Sort, Wanted } from "./documents.ts";

const PAGE_SIZE = 50;
/** The most that the server gives at once. */
const MAX_PAGE_SIZE = 100;
/** Between a key and the search for what was typed so far. */
const DEBOUNCE_MS = 180;

export type ListingState =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly more: boolean }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * The documents that a search finds, in an order, a page at a time.
 *
 * An answer counts only if nothing newer was asked since: a slow one for "co" never overwrites the
 * one for "collab". `changed` is called after every change.
 */
export class Listing {
  query = "";
  sort: Sort = "-updated_at";
  readonly #page: (wanted: Wanted) => Promise<Page>;
  readonly #changed: () => void;
  #items: readonly DocumentSummary[] = [];
  #next: string | null = null;
  #state: ListingState = { kind: "loading" };
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Of the latest question; those before it are not waited for any more. */
  #question = 0;

  constructor(page: (wanted: Wanted) => Promise<Page>, changed: () => void) {
    this.#page = page;
    this.#changed = changed;
  }

  get items(): readonly DocumentSummary[] {
    return this.#items;
  }

  get state(): ListingState {
    return this.#state;
  }

  /** Asks once the person has stopped typing. */
  search(query: string): void {
    if (query === this.query) return;
    this.query = query;
    this.#question++;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.load(), DEBOUNCE_MS);
  }

  sortBy(sort: Sort): void {
    this.sort = sort;
    void this.load();
  }

  /** From the beginning. What was there stays in sight until the answer comes. */
  async load(): Promise<void> {
    this.#become({ kind: "loading" });
    await this.#ask(PAGE_SIZE, null);
  }

  /** The same again, without a word unless something changed. */
  async refresh(): Promise<void> {
    // A longer list than one page can bring would lose its end under the reader.
    if (this.#state.kind === "loading" || this.#items.length > MAX_PAGE_SIZE) return;
    await this.#ask(Math.max(PAGE_SIZE, this.#items.length), null, true);
  }

  /** The next page, after the last. */
  async more(): Promise<void> {
    if (this.#next === null || this.#state.kind === "loading") return;
    this.#become({ kind: "loading" });
    await this.#ask(PAGE_SIZE, this.#next);
  }

  /** What is known of one document has changed here. */
  put(changed: DocumentSummary): void {
    this.#items = this.#items.map((item) => (item.id === changed.id ? changed : item));
    this.#overtake();
    this.#changed();
  }

  /** It is deleted for good. */
  drop(id: string): void {
    this.#items = this.#items.filter((item) => item.id !== id);
    this.#overtake();
    this.#changed();
  }

  /** A refresh that is under way may tell what was before. */
  #overtake(): void {
    if (this.#state.kind === "ready") this.#question++;
  }

  /** Nobody looks any more: no question is asked, and no answer counts. */
  close(): void {
    clearTimeout(this.#timer);
    this.#question++;
  }

  async #ask(limit: number, cursor: string | null, quiet = false): Promise<void> {
    clearTimeout(this.#timer);
    const question = ++this.#question;
    try {
      const page = await this.#page({ query: this.query.trim(), sort: this.sort, limit, cursor });
      if (question !== this.#question) return;
      this.#items = cursor === null ? page.items : joined(this.#items, page.items);
      this.#next = page.next;
      this.#become({ kind: "ready", more: page.next !== null });
    } catch (error) {
      if (question === this.#question && !quiet) this.#become({ kind: "failed", error });
    }
  }

  #become(state: ListingState): void {
    this.#state = state;
    this.#changed();
  }
}

/** A document that moved between two pages while they were read is listed once. */
function joined(
  before: readonly DocumentSummary[],
  after: readonly DocumentSummary[],
): readonly DocumentSummary[] {
  const known = new Set(before.map(({ id }) => id));
  return [...before, ...after.filter(({ id }) => !known.has(id))];
}
