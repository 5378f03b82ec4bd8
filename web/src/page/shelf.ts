import type { Documents } from "./documents.ts";
import { button, element } from "./element.ts";

/** The list of documents, and the way to a new one. */
export async function showShelf(place: HTMLElement, documents: Documents): Promise<void> {
  document.title = "Collab";
  const list = element("ul", { id: "documents" });
  const note = element("p", { id: "note", role: "status" }, "Loading…");
  const create = button("New document", () => {
    documents.create("Untitled").then(
      ({ id }) => {
        location.hash = id;
      },
      (error: unknown) => {
        note.textContent = `No new document: ${String(error)}`;
      },
    );
  });
  create.id = "new";
  place.replaceChildren(element("h1", {}, "Documents"), create, note, list);
  try {
    const all = await documents.list();
    list.append(
      ...all.map(({ id, title }) => element("li", {}, element("a", { href: `#${id}` }, title))),
    );
    note.textContent = all.length > 0 ? "" : "There are none yet.";
  } catch (error) {
    note.textContent = `The documents cannot be listed: ${String(error)}`;
  }
}
