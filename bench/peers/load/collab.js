// Collab's protocol: one push in flight, what is typed meanwhile goes into the next one.
import { Batch, Part, Session } from "./session.js";
import { frame } from "./websocket.js";

const BEAT = frame('{"type":"beat"}');
const HEAD_BYTES = 128; // a message's revision and mark stand within these, and name its updates
const LETTER = "x";

// The kinds that come often are told apart by the first letter of their type.
const KIND_AT = '{"type":"'.length;
const [UPDATES, PRESENCE] = Buffer.from("up");

export default class Collab extends Session {
  presences = 0;
  refusals = 0;
  #revision = 0;
  #extraUnits = 0; // the text is so much longer than the revision
  #perPush = 1;
  #next = 0; // the first key that is in no push yet
  #seq = 0;
  #pushes = new Map(); // the keys of each, by seq
  #inFlight = false;

  constructor(document, number, { token }) {
    const client = `bench-load-${String(number).padStart(8, "0")}`;
    super(document, `/v1/documents/${document.name}/live?client=${client}`, {
      Authorization: `Bearer ${token}`,
    });
  }

  hear(buffer, start, end) {
    const kind = buffer[start + KIND_AT];
    if (kind === UPDATES) this.#hearUpdates(buffer, start, end);
    else if (kind === PRESENCE) this.presences += 1;
    else this.#hearOther(JSON.parse(buffer.toString("utf8", start, end)));
  }

  type() {
    if (this.#inFlight || this.#next === this.keys.length) return;
    const first = this.#next;
    const count = Math.min(this.keys.length - first, this.#perPush);
    this.#next += count;
    this.#seq += 1;
    this.#pushes.set(this.#seq, { first, count });
    this.#inFlight = true;
    const length = this.#extraUnits + this.#revision;
    const updates = Array.from({ length: count }, (_, before) => letterIn(length + before));
    this.socket.send(
      frame(
        `{"type":"push","revision":${this.#revision},"seq":${this.#seq},"updates":[${updates}]}`,
      ),
    );
  }

  // Says that the cursor moved.
  move() {
    const at = Math.floor(Math.random() * (this.#extraUnits + this.#revision));
    this.socket.send(
      frame(`{"type":"presence","revision":${this.#revision},"ranges":[[${at},${at}]]}`),
    );
  }

  // The text that all it heard makes.
  replay() {
    return this.log.reduce(
      (text, message) => JSON.parse(message).updates.reduce(applied, text),
      this.document.text,
    );
  }

  #hearOther(message) {
    if (message.type === "welcome") this.#hearWelcome(message);
    else if (message.type === "refused") this.#hearRefused(message);
    else if (message.type === "beat") this.socket.send(BEAT);
    else if (message.type !== "saved") throw new Error(`the server says ${message.type}`);
  }

  #hearWelcome({ client, revision, text, limits }) {
    this.#revision = revision;
    this.#extraUnits = text.length - revision;
    this.#perPush = limits.max_updates_per_push;
    this.document.authors.set(client, this);
    this.join();
  }

  #hearUpdates(buffer, start, end) {
    const key = buffer.latin1Slice(start, Math.min(end, start + HEAD_BYTES));
    const batch = this.document.batch(key, () => this.#parse(buffer.toString("utf8", start, end)));
    if (batch.revision !== this.#revision + 1) throw new Error("updates have a gap or repeat (U2)");
    this.#revision += batch.revisions;
    this.log?.push(buffer.toString("utf8", start, end));
    if (batch.by.has(this)) this.#inFlight = false;
    this.onBatch(this, batch);
    this.type();
  }

  // The updates of one push stand together, all of them (U1).
  #parse(message) {
    const { revision, updates } = JSON.parse(message);
    const parts = [];
    for (let at = 0; at < updates.length; ) {
      const [client, seq] = updates[at];
      const author = this.document.authors.get(client);
      const push = author?.pushed(seq);
      if (push) parts.push(new Part(author, push.first, push.count));
      at += push?.count ?? 1;
    }
    return Object.assign(new Batch(parts), { revision, revisions: updates.length });
  }

  pushed(seq) {
    return this.#pushes.get(seq);
  }

  // Nothing of the push is in the history (P5): its keys go into a later one.
  #hearRefused({ seq, retry_after_ms = 0 }) {
    this.refusals += 1;
    this.#next = this.#pushes.get(seq).first;
    setTimeout(() => {
      this.#inFlight = false;
      this.type();
    }, retry_after_ms);
  }
}

// A change (T3) that puts the letter somewhere into a text of this length.
function letterIn(length) {
  const at = Math.floor(Math.random() * (length + 1));
  return `[${at ? `${at},` : ""}[0,"${LETTER}"]${at < length ? `,${length - at}` : ""}]`;
}

function applied(text, [, , change]) {
  let at = 0;
  let result = "";
  for (const section of change) {
    const [size, ...lines] = Array.isArray(section) ? section : [section];
    result += Array.isArray(section) ? lines.join("\n") : text.slice(at, at + size);
    at += size;
  }
  return result;
}
