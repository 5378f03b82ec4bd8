import { button, copyButton, element } from "./element.ts";
import type { Refusal } from "./refusals.ts";

export interface OfferActions {
  /** Makes a document of the text. What it throws, it has told. */
  save(text: string): Promise<void>;
  dismiss(): void;
}

/** A refused text, offered to the person who wrote it. */
export function offer({ id, message, text }: Refusal, actions: OfferActions): HTMLElement {
  const heading = `refused-${id}`;
  const box = element("textarea", { readonly: "", rows: "6", "aria-label": "Your text" });
  box.value = text;
  const save = button(
    "Save as a new document",
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
    element("h2", { id: heading }, "Your last changes were not taken"),
    element("p", {}, `The server says: ${message}. Nothing is lost: here is what you wrote.`),
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
