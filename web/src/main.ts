import { Account } from "./page/account.ts";
import { Desk } from "./page/desk.ts";
import { Documents } from "./page/documents.ts";
import { showShelf } from "./page/shelf.ts";

/** `/#<document id>` is that document, and `/` the list of all. */
function start(place: HTMLElement): void {
  const account = new Account();
  const documents = new Documents(account);
  let desk: Desk | null = null;
  let here = "";

  const show = () => {
    const id = location.hash.slice(1);
    if (id === here && (desk || id)) return;
    if (desk && !desk.saved && !confirm("Some of what you typed is not saved. Leave it?")) {
      location.hash = here;
      return;
    }
    desk?.leave();
    here = id;
    desk = id ? new Desk(place, id, account, documents) : null;
    if (!desk) void showShelf(place, documents);
  };
  window.addEventListener("hashchange", show);
  show();
}

const place = document.getElementById("app");
if (place) start(place);
