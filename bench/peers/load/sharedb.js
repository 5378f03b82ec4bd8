// ShareDB's protocol: one op in flight, what is typed meanwhile is composed into the next one.
import { type } from "ot-text-unicode";
import { Batch, Part, Session } from "./session.js";
import { frame } from "./websocket.js";

const COLLECTION = "documents";
const LETTER = "x";

export default class ShareDB extends Session {
  #src = "";
  #version = 0;
  #length = 0;
  #next = 0; // the first key that is in no op yet
  #seq = 0;
  #ops = new Map(); // the keys of each, by seq
  #inFlight = null;
  #seeded = null; // called when the server has the text

  constructor(document) {
    super(document, "/");
  }

  opened() {
    this.#send({ a: "hs", id: null, protocol: 1, protocolMinor: 2 });
  }

  hear(buffer, start, end) {
    const key = buffer.latin1Slice(start, end);
    const { message, batch } = this.document.batch(key, () => this.#parse(JSON.parse(key)));
    if (message.error) throw new Error(message.error.message);
    if (message.a === "hs") this.#hearHandshake(message);
    else if (message.a === "s") this.#hearText(message.data);
    else if (message.a === "op") this.#hearOp(message, batch);
  }

  type() {
    if (this.#inFlight || this.#next === this.keys.length) return;
    const count = this.keys.length - this.#next;
    this.#ops.set(++this.#seq, { first: this.#next, count });
    this.#next += count;
    this.#inFlight = lettersIn(this.#length, count);
    this.log?.push({ sent: this.#inFlight });
    this.#submit({ v: this.#version, op: this.#inFlight });
  }

  async seed() {
    const done = new Promise((resolve) => {
      this.#seeded = resolve;
    });
    this.#seq += 1;
    this.#submit({ v: this.#version, create: { type: type.uri, data: this.document.text } });
    await done;
  }

  // As its client does: what is in flight and what comes in are transformed over each other.
  replay() {
    let text = this.document.text;
    let inFlight = null;
    for (const { sent, op } of this.log) {
      if (sent) {
        inFlight = sent;
        text = type.apply(text, sent);
      } else if (op) {
        text = type.apply(text, inFlight ? type.transform(op, inFlight, "right") : op);
        if (inFlight) inFlight = type.transform(inFlight, op, "left");
      } else {
        inFlight = null;
      }
    }
    return text;
  }

  pushed(seq) {
    return this.#ops.get(seq);
  }

  #hearHandshake({ id }) {
    if (this.#src) return;
    this.#src = id;
    this.document.authors.set(id, this);
    this.#send({ a: "s", c: COLLECTION, d: this.document.name, v: null });
  }

  #hearText({ v, data }) {
    this.#version = v;
    this.#length = data?.length ?? 0;
    this.join();
  }

  #hearOp({ src, v, op }, batch) {
    if (v < this.#version) return; // sent again, with the answer to an op on an older version
    if (v > this.#version) throw new Error(`op ${v} came at version ${this.#version}`);
    this.#version += 1;
    if (this.#seeded) {
      this.#length = this.document.text.length;
      this.#seeded();
      this.#seeded = null;
      return;
    }
    if (src === this.#src) {
      this.#length += insertedBy(this.#inFlight);
      this.#inFlight = null;
      this.log?.push({});
    } else {
      this.#length += batch.count;
      this.log?.push({ op });
      this.onBatch(this, batch);
    }
    this.type();
  }

  #parse(message) {
    const author = message.op && this.document.authors.get(message.src);
    const op = author?.pushed(message.seq);
    const parts = op ? [new Part(author, op.first, op.count)] : [];
    return { message, batch: new Batch(parts) };
  }

  #submit(op) {
    const { name } = this.document;
    this.#send({ a: "op", c: COLLECTION, d: name, src: this.#src, seq: this.#seq, x: {}, ...op });
  }

  #send(message) {
    this.socket.send(frame(JSON.stringify(message)));
  }
}

// An op that puts so many letters somewhere into a text of this length.
function lettersIn(length, count) {
  const places = Array.from({ length: count }, () => Math.floor(Math.random() * (length + 1)));
  return places
    .sort((a, b) => a - b)
    .reduce((op, place, index) => type.compose(op, type.normalize([place + index, LETTER])), []);
}

function insertedBy(op) {
  return op.reduce((sum, part) => sum + (typeof part === "string" ? part.length : 0), 0);
}
