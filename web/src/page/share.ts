import { copyButton, element } from "./element.ts";
import { icon } from "./icons.ts";

/** The link to this document, to copy and send. */
export function shareButton(): HTMLElement {
  const link = element("a", { id: "link", href: location.href }, location.href);
  const made = element(
    "button",
    { type: "button", class: "share", popovertarget: "share" },
    icon("share"),
    element("span", {}, "Share"),
  );
  return element(
    "div",
    { class: "beside" },
    made,
    element(
      "div",
      { id: "share", class: "card", popover: "auto" },
      element("h2", {}, "Write together"),
      element("p", {}, "Whoever has this link can read the text and write in it."),
      element("p", { class: "link" }, link),
      copyButton("Copy the link", () => link.href),
    ),
  );
}
