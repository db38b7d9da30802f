// What a model, or a server, may try with the tools.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../src/index.js";
import { callTool } from "../src/tools.js";
import { stub } from "./stub.js";

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const away = new Client("http://127.0.0.1:1", { retries: 0 });

/** What the tool says of a record. */
async function look(t: Parameters<typeof stub>[0], record: string): Promise<any> {
  return JSON.parse(await callTool(new Client((await stub(t, { raw: record })).url), "get_execution", { execution_id: "j" }));
}

test("records that make no sense", async (t) => {
  for (const [record, what] of [
    ['{"artifacts": 3}', "its artifacts are no list"], ['{"artifacts": [null]}', "its artifacts are no list"], ['{"artifacts": ["a"]}', "its artifacts are no list"],
    ['{"stdout": 1}', "its stdout is no text"], ['{"stderr": ["x"]}', "its stderr is no text"],
    [`{"error": ${nested(5000)}}`, "nested too deep"], [`{"execution_id": ${nested(5000)}, "stdout": 1}`, "its stdout"],
  ]) {
    await assert.rejects(look(t, record), { kind: "malformed", message: new RegExp(`^the record of j makes no sense: .*${what}`) }, record.slice(0, 40));
  }
});

test("an output that is nested deep is left out, and said to be", async (t) => {
  for (const depth of [501, 5000, 100_000]) {
    assert.deepEqual(await look(t, `{"output": ${nested(depth)}}`), {
      stdout: "", stderr: "", artifacts: [], cut: ["output: it is nested deeper than 500 and left out"],
    });
  }
  assert.deepEqual((await look(t, `{"output": ${nested(500)}}`)).output, JSON.parse(nested(500)));
});

test("any arguments of a model", async () => {
  const deep = JSON.parse(nested(5000));
  for (const [name, args] of [
    [deep, {}], [undefined, {}], [1n, {}], ["run_code", nested(5000)], ["run_code", { code: deep }], ["run_code", `{"code": "1", "requirements": ${nested(5000)}}`],
    ["run_code", { code: "\ud800" }], ["run_code", { code: "1", files: [{ path: "\ud800" }] }], ["get_execution", { execution_id: "\ud800" }],
    ["get_execution", { execution_id: ".." }], ["read_artifact", { execution_id: "a", name: "../x" }], ["run_code", '{"__proto__": {"code": "1"}}'],
  ] as [string, unknown][]) {
    assert.match(await callTool(away, name, args), /^Error: /);
  }
});

test("executions without a name", async (t) => {
  for (const [id, error, want] of [[["x"], "refused", "refused"], [null, { deep: 1 }, "the server names no execution"]]) {
    const c = new Client((await stub(t, { body: { success: false, execution_id: id, error } })).url);
    assert.equal(await callTool(c, "run_code", { code: "1" }), `Error: ${want}`);
  }
});

test("errors that cannot be sent on", async (t) => {
  const c = new Client((await stub(t, { status: 404, raw: '{"detail": "\\ud800"}' })).url);
  assert.equal(await callTool(c, "get_execution", { execution_id: "j" }), "Error: \ufffd");
});

test("an offset beyond all files", async () => {
  const piece = new Uint8Array(2 ** 24);
  let pieces = 0;
  const endless = () => new Response(new ReadableStream({ pull(to) { pieces++; to.enqueue(piece); } }));
  const read = (c: Client, offset: number) => callTool(c, "read_artifact", { execution_id: "j", name: "a", offset, limit: 2 });
  await assert.rejects(read(new Client("http://x", { fetch: async () => endless() }), 2 ** 50), { kind: "malformed", message: /longer than 1024 MiB/ });
  assert.ok(pieces < 70);
});

test("a file whose length nobody says goes on until its end was seen", async () => {
  const c = new Client("http://x", { fetch: async () => new Response("0123") });
  const read = async (offset: number) => JSON.parse(await callTool(c, "read_artifact", { execution_id: "j", name: "a", offset, limit: 2 }));
  assert.deepEqual([(await read(0)).more, (await read(0)).size_bytes], [true, undefined]);
  assert.deepEqual([(await read(3)).more, (await read(3)).size_bytes, (await read(3)).content], [false, 4, "3"]);
});
