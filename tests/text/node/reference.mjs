// The published library, asked over stdin and stdout: a JSON array of cases a line, the same
// number of answers a line. The one argument is the folder whose node_modules has the library.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.argv[2], "package.json"));
const { ChangeSet, Text } = require("@codemirror/state");

function answer({ text, a, b, after, positions }) {
  const doc = Text.of(text.split("\n"));
  const [first, second, next] = [a, b, after].map((json) => ChangeSet.fromJSON(json));
  return {
    json: first.toJSON(),
    apply: first.apply(doc).toString(),
    "a.map(b)": first.map(second).toJSON(),
    "a.map(b, before)": first.map(second, true).toJSON(),
    "b.map(a)": second.map(first).toJSON(),
    "b.map(a, before)": second.map(first, true).toJSON(),
    compose: first.compose(next).toJSON(),
    invert: first.invert(doc).toJSON(),
    positions: positions.map(([pos, assoc]) => first.mapPos(pos, assoc)),
    "no assoc": positions.map(([pos]) => first.mapPos(pos)),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(JSON.parse(line).map(answer))}\n`);
}
