// Clients of Collab and its peers, each by the library that editors use for its protocol: they fill
// documents, open them, and stay in them. A command a line on standard input, an answer a line on
// standard output, both JSON.   node clients.mjs FOLDER   (the folder has the packages)
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { WebSocket } = require("ws");

const OPENING_AT_ONCE = 50; // of those who come to stay
const EDITS_AT_ONCE = 500;
const PATIENCE_MS = 120_000;

// A server's clients: `open({ port, document, token })` gives one that has its text.
const protocols = {
  collab: openCollab,
  sharedb: openShareDb,
  "y-websocket": (where) => openYjs(where, { isNamed: false }),
  pycrdt: (where) => openYjs(where, { isNamed: false }),
  hocuspocus: (where) => openYjs(where, { isNamed: true }),
};

// What they have in common. `bytes` is all that the socket received, the handshake's answer too.
class Client {
  constructor(socket, text) {
    this.socket = socket;
    this.text = text;
    this.bytes = socket._socket.bytesRead;
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  async close() {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise((resolve) => this.socket.once("close", resolve));
    this.socket.close();
    await closed;
  }
}

// Opens a socket, and waits until `ready` was called. As a browser's, it offers to inflate.
function connected(address, options, begin) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address, { maxPayload: 0, ...options });
    const patience = setTimeout(() => reject(new Error("no text came")), PATIENCE_MS);
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
    begin(socket, (client) => {
      clearTimeout(patience);
      resolve(client);
    });
  });
}

function openCollab({ port, document, token }) {
  const id = randomBytes(18).toString("base64url");
  const address = `ws://127.0.0.1:${port}/v1/documents/${document}/live?client=${id}`;
  const headers = { Authorization: `Bearer ${token}` };
  return connected(address, { headers }, (socket, ready) => {
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (message.type === "welcome") ready(new Client(socket, message.text));
      if (message.type === "beat") socket.send('{"type":"beat"}');
    });
  });
}

function openShareDb({ port, document }) {
  const { Connection, types } = require("sharedb/lib/client");
  types.register(require("ot-text-unicode").type);
  return connected(`ws://127.0.0.1:${port}`, {}, (socket, ready) => {
    const doc = new Connection(socket).get("documents", document);
    doc.subscribe((error) => {
      if (error) return socket.emit("error", error);
      ready(Object.assign(new Client(socket, doc.data ?? ""), { fill: fillShareDb(doc) }));
    });
  });
}

// One operation an edit, as somebody who types would send them.
const fillShareDb = (doc) => async (edits) => {
  const submitted = (submit) =>
    new Promise((resolve, reject) => submit((error) => (error ? reject(error) : resolve())));
  if (!doc.type) await submitted((done) => doc.create("", "text-unicode", done));
  doc.preventCompose = true;
  for (let begin = 0; begin < edits.length; begin += EDITS_AT_ONCE) {
    const some = edits.slice(begin, begin + EDITS_AT_ONCE);
    await Promise.all(
      some.map(([at, cut, insert]) => {
        const op = [at, ...(cut ? [{ d: cut }] : []), insert].filter((part) => part);
        return submitted((done) => doc.submitOp(op, done));
      }),
    );
  }
};

// The protocols of Yjs for texts and for who is there, as its providers speak them. Hocuspocus puts
// the document's name before each message, and wants a token first.
const SYNC = 0;
const AWARENESS = 1;
const AUTH = 2;

function openYjs({ port, document }, { isNamed }) {
  const Y = require("yjs");
  const sync = require("y-protocols/sync");
  const { Awareness, ...aware } = require("y-protocols/awareness");
  const { createDecoder, ...read } = require("lib0/decoding");
  const { createEncoder, length, toUint8Array, ...write } = require("lib0/encoding");
  const doc = new Y.Doc();
  const text = doc.getText("text");
  const awareness = new Awareness(doc);

  const begun = (kind) => {
    const encoder = createEncoder();
    if (isNamed) write.writeVarString(encoder, document);
    write.writeVarUint(encoder, kind);
    return encoder;
  };

  return connected(`ws://127.0.0.1:${port}/${document}`, {}, (socket, ready) => {
    let synced = () => ready(Object.assign(new Client(socket, text.toString()), { fill }));

    const ask = () => {
      const encoder = begun(SYNC);
      sync.writeSyncStep1(encoder, doc);
      socket.send(toUint8Array(encoder));
    };
    const heard = () =>
      new Promise((resolve) => {
        synced = resolve; // the answer comes after all that was sent
        ask();
      });
    const fill = async (edits) => {
      for (let begin = 0; begin < edits.length; begin += EDITS_AT_ONCE) {
        for (const [at, cut, insert] of edits.slice(begin, begin + EDITS_AT_ONCE)) {
          doc.transact(() => {
            if (cut) text.delete(at, cut);
            if (insert) text.insert(at, insert);
          });
        }
        await heard(); // a server may not be made for a long queue of messages
      }
    };

    const tellAwareness = () => {
      const encoder = begun(AWARENESS);
      write.writeVarUint8Array(encoder, aware.encodeAwarenessUpdate(awareness, [doc.clientID]));
      socket.send(toUint8Array(encoder));
    };

    socket.binaryType = "arraybuffer";
    socket.on("open", () => {
      if (isNamed) {
        const encoder = begun(AUTH);
        write.writeVarUint(encoder, 0);
        write.writeVarString(encoder, "");
        socket.send(toUint8Array(encoder));
      }
      ask();
      tellAwareness();
    });
    socket.on("close", () => awareness.destroy());
    awareness.on("update", (_, origin) => {
      if (origin === "local" && socket.readyState === WebSocket.OPEN) tellAwareness();
    });
    socket.on("message", (data) => {
      const decoder = createDecoder(new Uint8Array(data));
      if (isNamed) read.readVarString(decoder);
      const kind = read.readVarUint(decoder);
      if (kind === AWARENESS) {
        aware.applyAwarenessUpdate(awareness, read.readVarUint8Array(decoder), socket);
      }
      if (kind !== SYNC) return;
      const answer = begun(SYNC);
      const empty = length(answer);
      const type = sync.readSyncMessage(decoder, answer, doc, socket);
      if (length(answer) > empty) socket.send(toUint8Array(answer));
      if (type === sync.messageYjsSyncStep2) synced();
    });
    doc.on("update", (update, origin) => {
      if (origin === socket) return;
      const encoder = begun(SYNC);
      sync.writeUpdate(encoder, update);
      socket.send(toUint8Array(encoder));
    });
  });
}

// One more client: how long until it has its text, and how much came until then.
async function timed(where) {
  const began = performance.now();
  const client = await protocols[where.server](where);
  return { client, opened: { ms: performance.now() - began, bytes: client.bytes } };
}

const digest = (text) => createHash("sha1").update(text).digest("hex");

const staying = [];

const commands = {
  // Do edits, each [at, deleted, inserted], and stay.
  async fill({ where, edits }) {
    const client = await protocols[where.server](where);
    await client.fill(JSON.parse(readFileSync(edits)));
    staying.push(client);
    return {};
  },

  // Open a document `times` times, one after the other, each closed before the next.
  async open({ where, times }) {
    const opened = [];
    let text = "";
    for (let time = 0; time < times; time += 1) {
      const { client, opened: one } = await timed(where);
      opened.push(one);
      text = client.text;
      await client.close();
    }
    return { opened, digest: digest(text) };
  },

  // Open it as many times at once.
  async join({ where, clients }) {
    const joined = await Promise.all(Array.from({ length: clients }, () => timed(where)));
    const digests = new Set(joined.map(({ client }) => digest(client.text)));
    await Promise.all(joined.map(({ client }) => client.close()));
    return { opened: joined.map(({ opened }) => opened), digests: [...digests] };
  },

  // Open each of the documents so many times, and stay there. The first in a document types `edits`.
  async stay({ where, documents, each, edits }) {
    for (let begin = 0; begin < documents.length; begin += OPENING_AT_ONCE) {
      const some = documents.slice(begin, begin + OPENING_AT_ONCE);
      for (let time = 0; time < each; time += 1) {
        const came = await Promise.all(
          some.map((document) => protocols[where.server]({ ...where, document })),
        );
        if (time === 0 && edits) await Promise.all(came.map((client) => client.fill(edits)));
        for (const client of came) {
          client.text = "";
          staying.push(client);
        }
      }
    }
    return {};
  },

  // How many of those who came to stay are connected.
  async there() {
    return { there: staying.filter((client) => client.isOpen).length };
  },

  async leave() {
    await Promise.all(staying.splice(0).map((client) => client.close()));
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](rest);
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
