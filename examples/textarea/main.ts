import { Connection, type TokenSource, watchWake } from "../../web/src/connection/index.ts";
import { FieldReplica } from "./replica.ts";

/** `/textarea.html#<document id>`; without an ID, a new document. */
async function main(): Promise<void> {
  const field = find<HTMLTextAreaElement>("text");
  const tokens = await guest(`Textarea ${Math.ceil(Math.random() * 99)}`);
  if (!location.hash) location.replace(`#${await create(await tokens.current())}`);
  const document = location.hash.slice(1);

  const replica = new FieldReplica(
    field,
    (replica) =>
      new Connection({ origin: location.origin, document, tokens }, replica, () => show()),
    ({ message }, text) => {
      navigator.clipboard?.writeText(text).catch(() => {});
      alert(`The server did not take your last changes: ${message}. You had: ${text}`);
    },
  );
  const { connection } = replica;

  const show = () => {
    const { state } = connection;
    find("status").textContent = state.kind === "live" && replica.saved ? "saved" : state.kind;
    const names = connection.peers.map(({ name }) => name).join(", ");
    find("peers").textContent = names || "nobody else";
    // Between sessions, one may go on typing.
    if (state.kind === "live") field.readOnly = !["owner", "editor"].includes(state.role);
    if (state.kind === "stopped") field.readOnly = true;
  };
  field.addEventListener("input", () => {
    replica.changed();
    show();
  });
  field.addEventListener("selectionchange", () => replica.moved());
  watchWake(() => connection.wake(), new AbortController().signal);
  connection.open();
}

async function guest(name: string): Promise<TokenSource> {
  let { token } = await post<{ token: string }>("/v1/auth/guest", { name });
  return {
    current: async () => token,
    renewed: async () => {
      ({ token } = await post<{ token: string }>("/v1/auth/refresh", {}, token));
      return token;
    },
  };
}

async function create(token: string): Promise<string> {
  const { id } = await post<{ id: string }>("/v1/documents", { title: "A textarea" }, token);
  return id;
}

async function post<Body>(path: string, body: object, token?: string): Promise<Body> {
  const headers = {
    "Content-Type": "application/json",
    ...(token && { Authorization: `Bearer ${token}` }),
  };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as Body;
}

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

void main();
