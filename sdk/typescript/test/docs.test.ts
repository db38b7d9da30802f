// docs/TYPESCRIPT.md has everything that there is, and names tests that show it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as main from "../src/index.js";
import * as node from "../src/node.js";
import * as tools from "../src/tools.js";

const sources = new URL("../../test/", import.meta.url);
const text = readFileSync(new URL("../../docs/TYPESCRIPT.md", new URL("../", sources)), "utf8");
const rows = [...text.matchAll(/^\| `(\w+)(?:\(.*?\))?` \| .* \| `(\w+): (.+)` \|$/gm)].map(([, name, file, title]) => ({ name, file, title }));

test("the tables have everything", () => {
  const methods = [main.Client.prototype, Object.getPrototypeOf(main.Client.prototype)].flatMap((p: object) => Object.getOwnPropertyNames(p));
  const there = [...methods.filter((name) => name !== "constructor"), "fromEnv", ...[main, node, tools].flatMap((m) => Object.keys(m))];
  assert.deepEqual(rows.map((r) => r.name).sort(), there.sort());
});

test("the tables name tests that there are, and that show it", () => {
  for (const { name, file, title } of rows) {
    const source = readFileSync(new URL(`${file}.test.ts`, sources), "utf8");
    const found = source.split(/^test\(/m).find((part) => part.startsWith(`"${title}"`) || part.startsWith(`"${file}: ${title}"`));
    assert.ok(found, `${file}: there is no test ${title}`);
    assert.match(found, new RegExp(`\\b${name}\\b`), `${file}: ${title} does not show ${name}`);
  }
});

test("every kind of error has a row", () => {
  const declared = readFileSync(new URL("../src/error.ts", sources), "utf8").split("export type ErrorKind =")[1].split(";")[0];
  for (const [, kind] of declared.matchAll(/"(\w+)"/g)) assert.ok(text.includes(`| \`${kind}\` |`), kind);
});
