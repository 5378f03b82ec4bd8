import { Account } from "./page/account.ts";
import type { Around, View } from "./page/around.ts";
import { Desk } from "./page/desk.ts";
import { Documents } from "./page/documents.ts";
import { element } from "./page/element.ts";
import { introduced } from "./page/entrance.ts";
import { Gate } from "./page/gate.ts";
import { listenForHelp } from "./page/help.ts";
import { Notices } from "./page/notices.ts";
import { Rest } from "./page/rest.ts";
import { secretIn } from "./page/sharing.ts";
import { Shelf } from "./page/shelf.ts";

/**
 * `/#<document id>` is that document, `/#link=<secret>` what a share link leads to, and `/` the
 * list of all.
 */
async function start(place: HTMLElement): Promise<void> {
  let view: View | null = null;
  let here = "";
  /** A document that was just made: its title is asked for first. */
  let fresh = "";

  const account = new Account();
  const rest = new Rest(account);
  const around: Around = {
    account,
    rest,
    documents: new Documents(rest),
    notices: new Notices(),
    mayLeave: () => view?.mayLeave() ?? true,
    begunAnew: () => {
      if (view) location.reload();
    },
  };
  account.watch(() => {
    if (around.mayLeave()) around.begunAnew();
  });
  place.before(skipLink());
  place.after(around.notices.dom);
  listenForHelp();
  place.append(element("header", { class: "bar" }, element("span", { class: "brand" }, "Collab")));
  await introduced(around);

  const open = (fragment: string): View => {
    if (fragment === "") {
      return new Shelf(place, around, (made) => {
        fresh = made;
      });
    }
    const secret = secretIn(fragment);
    if (secret !== null) return new Gate(place, secret, around);
    return new Desk(place, fragment, around, fragment === fresh);
  };
  const show = () => {
    const fragment = location.hash.slice(1);
    if (view && fragment === here) return;
    if (view && !view.mayLeave()) {
      location.hash = here;
      return;
    }
    view?.leave();
    here = fragment;
    view = open(fragment);
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
