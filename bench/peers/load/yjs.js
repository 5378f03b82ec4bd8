// The protocol of Yjs's servers (y-protocols/sync): an update a key, sent at once. Hocuspocus puts
// the document's name before each message, and is asked in before anything else.
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as Y from "yjs";
import { Batch, Part, Session } from "./session.js";
import { frame } from "./websocket.js";

const [SYNC, AUTH, SYNC_REPLY] = [0, 2, 4];
const [STEP_1, STEP_2, UPDATE] = [0, 1, 2]; // of a sync message
const AUTHENTICATED = 2;
const NOTHING = Y.encodeStateAsUpdate(new Y.Doc());
const TEXT = "text";
const LETTER = "x";

class Yjs extends Session {
  #prefix;
  #asked;
  #updates = []; // one for each key
  #ready = []; // the same as frames
  #seeded = null; // called when the server has the text

  constructor(document, path, prefix, isAsked) {
    super(document, path);
    this.#prefix = prefix;
    this.#asked = isAsked;
  }

  opened() {
    if (this.#asked) this.#send(AUTH, 0, ["", "4.8.0"]);
    else this.#sync();
  }

  hear(buffer, start, end) {
    const at = start + this.#prefix.length;
    const kind = buffer[at];
    if (kind === AUTH && this.#asked) this.#hearAuth(buffer[at + 1]);
    if (kind !== SYNC && kind !== SYNC_REPLY) return;
    const step = buffer[at + 1];
    if (step === UPDATE) this.#hearUpdate(buffer, start, end);
    else if (step === STEP_1) this.#send(SYNC, STEP_2, [NOTHING]);
    else this.#hearText(this.#payload(buffer.subarray(start, end)));
  }

  // The updates are made without those of others, on the text that the document begins with.
  prepare(count) {
    const doc = seeded(this.document.text);
    this.document.authors.set(doc.clientID, this);
    doc.on("update", (update) => this.#updates.push(update));
    const text = doc.getText(TEXT);
    for (let key = 0; key < count; key++)
      text.insert(Math.floor(Math.random() * (text.length + 1)), LETTER);
    this.#ready = this.#updates.map((update) => this.#message(SYNC, UPDATE, [update]));
  }

  type() {
    const key = this.keys.length - 1;
    this.socket.send(this.#ready[key]);
    this.log?.push(this.#updates[key]);
  }

  async seed() {
    const done = new Promise((resolve) => {
      this.#seeded = resolve;
    });
    this.#send(SYNC, UPDATE, [Y.encodeStateAsUpdate(seeded(this.document.text))]);
    this.#sync(); // answered after the update was taken
    await done;
  }

  replay() {
    const doc = new Y.Doc();
    for (const update of this.log) Y.applyUpdate(doc, update);
    return doc.getText(TEXT).toString();
  }

  #hearAuth(answer) {
    if (answer !== AUTHENTICATED) throw new Error("the server does not let the load in");
    this.#asked = false;
    this.#sync();
  }

  #hearText(update) {
    this.log?.push(update.slice());
    this.#seeded?.();
    this.join();
  }

  #hearUpdate(buffer, start, end) {
    const key = buffer.latin1Slice(start, end);
    const payload = () => this.#payload(buffer.subarray(start, end));
    this.log?.push(payload().slice());
    this.onBatch(
      this,
      this.document.batch(key, () => this.#parse(payload())),
    );
  }

  // Every key makes one unit: an author's clock counts its keys.
  #parse(update) {
    const { authors } = this.document;
    const parts = Y.decodeUpdate(update)
      .structs.filter(({ id }) => authors.has(id.client))
      .map(({ id, length }) => new Part(authors.get(id.client), id.clock, length));
    return new Batch(parts);
  }

  #payload(message) {
    const decoder = decoding.createDecoder(message.subarray(this.#prefix.length + 2));
    return decoding.readVarUint8Array(decoder);
  }

  #sync() {
    this.#send(SYNC, STEP_1, [Y.encodeStateVector(new Y.Doc())]);
  }

  #send(...message) {
    this.socket.send(this.#message(...message));
  }

  #message(kind, step, contents) {
    const encoder = encoding.createEncoder();
    encoding.writeUint8Array(encoder, this.#prefix);
    encoding.writeVarUint(encoder, kind);
    encoding.writeVarUint(encoder, step);
    for (const content of contents) {
      if (typeof content === "string") encoding.writeVarString(encoder, content);
      else encoding.writeVarUint8Array(encoder, content);
    }
    return frame(encoding.toUint8Array(encoder));
  }
}

export class YWebSocket extends Yjs {
  constructor(document) {
    super(document, `/${document.name}`, new Uint8Array(), false);
  }
}

export class Hocuspocus extends Yjs {
  constructor(document) {
    const encoder = encoding.createEncoder();
    encoding.writeVarString(encoder, document.name);
    super(document, "/", encoding.toUint8Array(encoder), true);
  }
}

// A document that begins with this text, the same for everybody.
function seeded(text) {
  const author = new Y.Doc();
  author.clientID = 1;
  author.getText(TEXT).insert(0, text);
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(author));
  return doc;
}
