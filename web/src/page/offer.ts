import { button, copyButton, element } from "./element.ts";
import type { Refusal } from "./refusals.ts";
import { refusalInWords } from "./words.ts";

export interface OfferActions {
  /** Makes a document of the text. What it throws, it has told. */
  save(text: string): Promise<void>;
  dismiss(): void;
}

/** A refused text, offered to the person who wrote it. */
export function offer(refusal: Refusal, actions: OfferActions): HTMLElement {
  const { id, text } = refusal;
  const { what, so } = refusalInWords(refusal);
  const heading = `refused-${id}`;
  const box = element("textarea", { readonly: "", rows: "6", "aria-label": "Your text" });
  box.value = text;
  const save = button(
    "Save as a document of my own",
    () => {
      save.disabled = true;
      actions.save(text).catch(() => {
        save.disabled = false;
      });
    },
    { class: "primary" },
  );
  return element(
    "section",
    { class: "unsent", "aria-labelledby": heading },
    element("h2", { id: heading }, what),
    element("p", {}, so),
    box,
    element(
      "div",
      { class: "choices" },
      button("Dismiss", () => actions.dismiss()),
      copyButton("Copy", () => text),
      save,
    ),
  );
}
