import { EditorState } from "@codemirror/state";
import {
  Binding,
  collaborative,
  HeadlessEditor,
  type Unsent,
  undoable,
} from "../../src/binding/index.ts";
import { type Changes, Connection, type Limits, type Range } from "../../src/connection/index.ts";
import type { Keeper } from "../../src/keep/index.ts";
import { shownPeers } from "../../src/presence/index.ts";
import { settled } from "./clock.ts";
import { fresh, LIMITS } from "./script.ts";
import { type FakeSocket, World } from "./world.ts";

const EXTENSIONS = [
  collaborative,
  undoable,
  shownPeers,
  EditorState.allowMultipleSelections.of(true),
];

/** A bound editor, and a server that the test plays. */
export class Stage {
  readonly world: World;
  readonly editor: HeadlessEditor;
  readonly unsent: Unsent[] = [];
  readonly statuses: string[] = [];
  /** Who was here, each time that the page was told. */
  readonly peers: string[] = [];
  readonly binding: Binding;

  constructor(
    world = new World(),
    keeper: Keeper | null = null,
    editor = new HeadlessEditor(EXTENSIONS),
  ) {
    this.world = world;
    this.editor = editor;
    const tokens = { current: async () => "t", renewed: async () => "t" };
    this.binding = new Binding(
      this.editor,
      (replica, changed, held) =>
        new Connection(
          { origin: "http://server", document: "doc", tokens, environment: this.world, ...held },
          replica,
          changed,
        ),
      {
        status: ({ connection, saved }) =>
          this.statuses.push(`${connection.kind}${saved ? " saved" : ""}`),
        rejected: (unsent) => this.unsent.push(unsent),
        peers: (peers) => this.peers.push(peers.map(({ name }) => name).join(" ")),
      },
      keeper,
    );
    this.editor.changed = () => this.binding.changed();
    this.binding.open();
  }

  get text(): string {
    return this.editor.text;
  }

  type(from: number, insert: string, to = from): void {
    this.editor.edit({ changes: { from, to, insert } });
  }

  say(message: object): void {
    this.world.socket.say(message);
  }

  /** What others were told of this editor's cursors since this was last asked. */
  said(): string[] {
    return this.world.socket.heard().flatMap((message) => {
      const { type, revision, ranges } = message as Said;
      if (type !== "presence") return [];
      return [`${revision}:`, ...ranges.map((range) => range.join("-"))].join(" ");
    });
  }

  /** Where the editor shows its peers. */
  shown(): string[] {
    return this.editor.state
      .field(shownPeers)
      .map(({ client, ranges }) =>
        [`${client}:`, ...ranges.map((range) => range.join("-"))].join(" "),
      );
  }

  /** The pushes since this was last asked, as `revision/seq: changes changes`. */
  pushes(): string[] {
    return this.world.socket.heard().flatMap((message) => {
      const { type, revision, seq, updates } = message as Push;
      if (type !== "push") return [];
      return `${revision}/${seq}: ${updates.map((changes) => JSON.stringify(changes)).join(" ")}`;
    });
  }

  /** The connection breaks, and a new socket is there, which waits for its welcome. */
  async broken(): Promise<FakeSocket> {
    this.world.socket.drop();
    return this.again();
  }

  async again(): Promise<FakeSocket> {
    const before = this.world.sockets.length;
    for (let i = 0; i < 600 && this.world.sockets.length === before; i++)
      await this.world.pass(100);
    this.world.socket.accept();
    return this.world.socket;
  }
}

interface Said {
  type: string;
  revision: number;
  ranges: Range[];
}

export interface Push {
  type: string;
  revision: number;
  seq: number;
  updates: Changes[];
}

export async function opened(
  text: string,
  limits: Partial<Limits> = {},
  editor?: HeadlessEditor,
): Promise<Stage> {
  const stage = new Stage(new World(), null, editor);
  await settled();
  stage.world.socket.accept();
  stage.say(fresh(text, 0, { limits: { ...LIMITS, ...limits } }));
  return stage;
}
