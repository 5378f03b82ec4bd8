import { expect, test } from "vitest";
import { difference } from "../../examples/textarea/difference.ts";
import { type Field, FieldReplica } from "../../examples/textarea/replica.ts";
import { Random } from "../session/random.ts";
import { type Changes, Connection } from "../src/connection/index.ts";
import { Authority } from "./support/authority.ts";
import { settled } from "./support/clock.ts";
import { fresh, LIMITS, ME, refused, resumed, saved, updates } from "./support/script.ts";
import { World } from "./support/world.ts";

/** As much of a `<textarea>` as the replica uses, behaving as the standard says. */
class FakeField implements Field {
  selectionStart = 0;
  selectionEnd = 0;
  #value = "";

  get value(): string {
    return this.#value;
  }

  set value(value: string) {
    this.#value = value;
    this.selectionStart = value.length;
    this.selectionEnd = value.length;
  }

  setRangeText(insert: string, from: number, to: number): void {
    this.#value = this.#value.slice(0, from) + insert + this.#value.slice(to);
    const moved = (at: number) =>
      at > to ? at + insert.length - (to - from) : at > from ? from + insert.length : at;
    this.selectionStart = at0(moved(this.selectionStart));
    this.selectionEnd = at0(moved(this.selectionEnd));
  }

  /** What a person does. */
  type(from: number, insert: string, to = from): void {
    this.#value = this.#value.slice(0, from) + insert + this.#value.slice(to);
    this.selectionStart = from + insert.length;
    this.selectionEnd = this.selectionStart;
  }
}

function at0(at: number): number {
  return Math.max(0, at);
}

async function opened(text: string, limits = {}) {
  const world = new World();
  const field = new FakeField();
  const rejected: string[] = [];
  const tokens = { current: async () => "t", renewed: async () => "t" };
  const replica = new FieldReplica(
    field,
    (inner) =>
      new Connection(
        { origin: "http://s", document: "doc", tokens, environment: world },
        inner,
        () => {},
      ),
    ({ code }, had) => rejected.push(`${code}: ${had}`),
  );
  const type = (from: number, insert: string, to = from) => {
    field.type(from, insert, to);
    replica.changed();
  };
  const pushes = () =>
    world.socket.heard().flatMap((message) => {
      const { type, revision, updates } = message as Push;
      return type === "push" ? [`${revision}: ${JSON.stringify(updates)}`] : [];
    });
  replica.connection.open();
  await settled();
  world.socket.accept();
  world.socket.say(fresh(text, 0, { limits: { ...LIMITS, ...limits } }));
  const next = async () => {
    world.socket.drop();
    await world.pass(1_000);
    world.socket.accept();
    return world.socket;
  };
  return { world, field, replica, rejected, type, pushes, next };
}

interface Push {
  type: string;
  revision: number;
  updates: Changes[];
}

test("H4 the field shows the text", async () => {
  const { field, replica } = await opened("one\ntwo");
  expect(field.value).toBe("one\ntwo");
  expect(replica.saved).toBe(true);
});

test("P1 what is different is pushed, and saved when the database has it", async () => {
  const { world, replica, type, pushes } = await opened("one two");
  type(4, "2", 7);
  expect(pushes()).toEqual(['0: [[4,[3,"2"]]]']);
  world.socket.say(updates(1, [ME, 1, [4, [3, "2"]]]));
  expect(replica.saved).toBe(false);
  world.socket.say(saved(1));
  expect(replica.saved).toBe(true);
});

test("P2 what is typed while a push is in flight goes into the next one, as one change", async () => {
  const { world, type, pushes } = await opened("");
  for (const [i, letter] of [..."abc"].entries()) type(i, letter);
  expect(pushes()).toEqual(['0: [[[0,"a"]]]']);
  world.socket.say(updates(1, [ME, 1, [[0, "a"]]]));
  await world.pass(1);
  expect(pushes()).toEqual(['1: [[1,[0,"bc"]]]']);
});

test("T8 others' changes come before what is unconfirmed, and the cursor stays with its text", async () => {
  const { world, field, type, pushes } = await opened("xy");
  type(1, "a");
  type(2, "b");
  world.socket.say(updates(1, ["other", 1, [[0, "> "], 1, [1]]]));
  expect(field.value).toBe("> xab");
  expect(field.selectionStart).toBe(5);
  pushes();
  world.socket.say(updates(2, [ME, 1, [3, [0, "a"]]]));
  await world.pass(1);
  expect(pushes()).toEqual(['2: [[4,[0,"b"]]]']);
});

test("H7 void: what was pushed goes out again with what was typed since", async () => {
  const { field, type, pushes, next } = await opened("");
  type(0, "a");
  const socket = await next();
  type(1, "b");
  socket.say(resumed(0, { inflight: "void" }));
  expect(pushes()).toEqual(['0: [[[0,"ab"]]]']);
  expect(field.value).toBe("ab");
});

test("H6 a reset keeps what is unsent, with the push that is in the new text", async () => {
  const { field, type, pushes, next } = await opened("one");
  type(3, " two");
  const socket = await next();
  type(7, " three");
  socket.say(fresh("zero one two", 9, { reset: true, inflight: "ordered" }));
  expect(field.value).toBe("zero one two three");
  expect(pushes()).toEqual(['9: [[12,[0," three"]]]']);
});

test("P5 for good: the field goes back, and the person is given what was there", async () => {
  const { world, field, rejected, type } = await opened("ab");
  type(1, "X");
  world.socket.say(refused(1, "forbidden"));
  expect(field.value).toBe("ab");
  expect(rejected).toEqual(["forbidden: aXb"]);
});

test("L2 what no push can take is refused here", async () => {
  const { field, rejected, type } = await opened("", { max_message_bytes: 200 });
  type(0, "x".repeat(200));
  expect(field.value).toBe("");
  expect(rejected.length).toBe(1);
});

test("T5 no change cuts a pair, and no half of one is kept", async () => {
  expect(difference("a😀b", "a😂b")).toEqual({ from: 1, to: 3, insert: "😂" });
  const { field, type, pushes } = await opened("");
  type(0, "a\ud83d\0b");
  expect(field.value).toBe("ab");
  expect(pushes()).toEqual(['0: [[[0,"ab"]]]']);
});

test("A1 the cursor is told as it stands in the confirmed text", async () => {
  const { world, field, replica, type } = await opened("0123");
  type(0, "abc");
  field.selectionEnd = 5;
  replica.moved();
  await world.pass(200);
  const said = world.socket.heard().filter((one) => (one as Push).type === "presence");
  expect(said.at(-1)).toEqual({ type: "presence", revision: 0, ranges: [[0, 2]] });
});

test("many who type at random in fields end with one text", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const authority = new Authority(seed);
    await authority.create("", "", "shared\n😀 ground");
    const people = Array.from({ length: 3 }, (_, i) => {
      const field = new FakeField();
      const tokens = { current: async () => `t${i}`, renewed: async () => `t${i}` };
      const options = { origin: authority.origin, document: "d", tokens };
      const replica = new FieldReplica(
        field,
        (inner) =>
          new Connection({ ...options, environment: authority.environment }, inner, () => {}),
        ({ code }) => expect(code).toBeNull(),
      );
      replica.connection.open();
      return { field, replica };
    });
    await authority.clock.pass(100);
    for (let edit = 0; edit < 60; edit++) {
      const { field, replica } = random.pick(people);
      const ends = [random.below(field.value.length + 1), random.below(field.value.length + 1)];
      const [from = 0, to = from] = ends.sort((a, b) => a - b);
      field.type(from, random.pick(["a", "bc", "😂", "\n", ""]), Math.min(to, from + 3));
      replica.changed();
      if (random.chance(40)) await authority.clock.pass(1);
    }
    await authority.clock.pass(3_000);
    const texts = people.map(({ field }) => field.value);
    expect([seed, ...texts]).toEqual([seed, ...texts.map(() => texts[0])]);
    expect(await authority.text()).toBe(texts[0]);
    expect(people.every(({ replica }) => replica.saved)).toBe(true);
  }
});
