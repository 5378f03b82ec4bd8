import { Account } from "./page/account.ts";
import type { Around, View } from "./page/around.ts";
import { Desk } from "./page/desk.ts";
import { Documents } from "./page/documents.ts";
import { element } from "./page/element.ts";
import { listenForHelp } from "./page/help.ts";
import { Notices } from "./page/notices.ts";
import { introduced } from "./page/person.ts";
import { Shelf } from "./page/shelf.ts";

/** `/#<document id>` is that document, and `/` the list of all. */
async function start(place: HTMLElement): Promise<void> {
  const account = new Account();
  const around: Around = {
    account,
    documents: new Documents(account),
    notices: new Notices(),
  };
  place.before(skipLink());
  place.after(around.notices.dom);
  listenForHelp();
  place.append(element("header", { class: "bar" }, element("span", { class: "brand" }, "Collab")));
  await introduced(around);

  let view: View | null = null;
  let here = "";
  /** A document that was just made: its title is asked for first. */
  let fresh = "";

  const show = () => {
    const id = location.hash.slice(1);
    if (view && id === here) return;
    if (view && !view.mayLeave()) {
      location.hash = here;
      return;
    }
    view?.leave();
    here = id;
    view = id
      ? new Desk(place, id, around, id === fresh)
      : new Shelf(place, around, (made) => {
          fresh = made;
        });
    fresh = "";
    window.scrollTo(0, 0);
  };
  window.addEventListener("hashchange", show);
  show();
}

/** Past what is the same on every page. The address is the router's, so it must not change. */
function skipLink(): HTMLElement {
  const link = element("a", { class: "skip", href: "#main" }, "Skip to the content");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const text = document.querySelector<HTMLElement>(".cm-content");
    (text ?? document.getElementById("main"))?.focus();
  });
  return link;
}

const place = document.getElementById("app");
if (place) void start(place);
