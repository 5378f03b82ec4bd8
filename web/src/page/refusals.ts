/** A text that the server would not take (P5), and that nobody has looked after yet. */
export interface Refusal {
  readonly id: string;
  /** Of the refusal; see `refusalInWords`. */
  readonly code: string;
  /** The server's reason. */
  readonly message: string;
  readonly text: string;
}

/**
 * Refused texts of one person and document, kept in this browser until the person has done
 * something about them: a reload does not lose them, and nobody else at this browser sees them.
 */
export class Refusals {
  readonly #key: string;
  #all: readonly Refusal[];

  /** `owner`: the ID of whoever wrote them. */
  constructor(owner: string, document: string) {
    this.#key = `collab.refused.${owner}.${document}`;
    this.#all = read(this.#key);
  }

  get all(): readonly Refusal[] {
    return this.#all;
  }

  /** False where the browser keeps no more: then the page must not go. */
  add(refusal: Refusal): boolean {
    this.#all = [...this.#all, refusal];
    return this.#store();
  }

  remove(id: string): void {
    this.#all = this.#all.filter((refusal) => refusal.id !== id);
    this.#store();
  }

  #store(): boolean {
    try {
      if (this.#all.length === 0) localStorage.removeItem(this.#key);
      else localStorage.setItem(this.#key, JSON.stringify(this.#all));
      return true;
    } catch {
      return false;
    }
  }
}

function read(key: string): readonly Refusal[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(stored) ? (stored as Refusal[]) : [];
  } catch {
    return [];
  }
}
