import type { Unsent } from "../binding/index.ts";
import { type Around, go } from "./around.ts";
import { element } from "./element.ts";
import type { Notice } from "./notices.ts";
import { offer } from "./offer.ts";
import { Refusals } from "./refusals.ts";
import { why } from "./rest.ts";

export interface OffersEvents {
  /** The title of the document that it was written for. */
  title(): string;
  /** There is another one, or one less. */
  changed(): void;
  /** The person has done something about one. */
  settled(): void;
}

/** What the server would not take of a document: it stays with the person who wrote it. */
export class Offers {
  readonly dom = element("div", { class: "offers" });
  readonly #around: Around;
  readonly #events: OffersEvents;
  readonly #refusals: Refusals;
  /** Some of it is nowhere but in this page. */
  #unkept = false;
  #notice: Notice | null = null;

  constructor(
    around: Around,
    document: string,
    owner: string,
    leaving: AbortSignal,
    events: OffersEvents,
  ) {
    this.#around = around;
    this.#events = events;
    leaving.addEventListener("abort", () => this.#notice?.close());
    this.#refusals = new Refusals(owner, document);
    this.#show();
  }

  get any(): boolean {
    return this.#refusals.all.length > 0;
  }

  get unkept(): boolean {
    return this.#unkept;
  }

  add({ code, message, text, typed }: Unsent): void {
    const kept = typed.length > 0 ? typed.join("\n") : text;
    const id = `${Date.now().toString(36)}-${this.#refusals.all.length}`;
    if (!this.#refusals.add({ id, code, message, text: kept })) this.#unkept = true;
    this.#show();
    this.#notice?.close();
    this.#notice = this.#around.notices.show("Your last changes were not taken.", {
      label: "Show them",
      run: () => {
        this.#notice?.close();
        this.dom.lastElementChild?.scrollIntoView({ block: "center" });
        this.dom.querySelector<HTMLElement>("section:last-child textarea")?.focus();
      },
    });
  }

  #show(): void {
    this.dom.replaceChildren(
      ...this.#refusals.all.map((refusal) =>
        offer(refusal, {
          save: async (text) => {
            await this.#saveApart(text);
            this.#settle(refusal.id);
          },
          dismiss: () => this.#settle(refusal.id),
        }),
      ),
    );
    this.#events.changed();
  }

  #settle(refusal: string): void {
    this.#refusals.remove(refusal);
    if (!this.any) {
      this.#unkept = false;
      this.#notice?.close();
    }
    this.#show();
    this.#events.settled();
  }

  async #saveApart(text: string): Promise<void> {
    const { documents, notices } = this.#around;
    try {
      const named = this.#events.title() || "another document";
      const { id, title } = await documents.create(`From “${named}”`, text);
      const notice = notices.show(`Saved as ${title}.`, {
        label: "Open",
        run: () => {
          notice.close();
          go(id);
        },
      });
    } catch (error) {
      notices.show(`Not saved. ${why(error)}`);
      throw error;
    }
  }
}
