import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../src/index.js";
import { anthropicTools, callTool, getExecutionTool, openaiTools, readArtifactTool, runCodeTool, tools } from "../src/tools.js";
import { stub } from "./stub.js";

const ran = { body: { success: false, execution_id: "api-1" } };
const record = {
  execution_id: "api-1", status: "failed", exit_code: 1, stdout: "out", stderr: "", output: null, error: { type: "ValueError", message: "no", phase: null },
  artifacts: [{ name: "a.png", size_bytes: 3, sha256: "0", content_type: "image/png" }], ended_by: null, stdout_truncated: false,
};

test("what a model is told", () => {
  assert.deepEqual(tools, [runCodeTool, getExecutionTool, readArtifactTool]);
  assert.deepEqual(tools.map((t) => t.name), ["run_code", "get_execution", "read_artifact"]);
  const chat = openaiTools();
  assert.deepEqual(chat[0], { type: "function", function: { name: "run_code", description: runCodeTool.description, parameters: runCodeTool.parameters } });
  assert.deepEqual(Object.keys(runCodeTool.parameters.properties), ["code", "language", "requirements", "timeout", "files"]);
  assert.deepEqual(anthropicTools()[2].input_schema, tools[2].parameters);
  chat[0].function.parameters.required.length = 0; // it is the caller's own
  assert.deepEqual(runCodeTool.parameters.required, ["code"]);
});

test("arguments that a model can mend", async () => {
  const c = new Client("http://127.0.0.1:1"); // nothing is sent
  for (const [name, args, want] of [
    ["rm", {}, 'Error: there is no tool "rm"; there are run_code, get_execution, read_artifact'],
    ["run_code", "{", /^Error: the arguments of run_code are not JSON: /],
    ["run_code", "[]", "Error: the arguments of run_code must be an object"],
    ["run_code", 7, "Error: the arguments of run_code must be an object"],
    ["run_code", null, 'Error: run_code needs "code": the program'],
    ["run_code", "", 'Error: run_code needs "code": the program'],
    ["run_code", { code: null }, 'Error: run_code needs "code": the program'],
    ["run_code", { code: 1 }, "Error: run_code: code must be of type string"],
    ["run_code", { code: "1", timeout: "5" }, "Error: run_code: timeout must be of type integer"],
    ["run_code", { code: "1", timeout: 1.5 }, "Error: run_code: timeout must be of type integer"],
    ["run_code", { code: "1", files: {} }, "Error: run_code: files must be of type array"],
    ["run_code", { code: "1", files: [{ path: "a" }, null] }, "Error: run_code: files[1] must be of type object"],
    ["run_code", { code: "1", files: [{}] }, 'Error: run_code: files[0] needs "path": relative path'],
    ["run_code", { code: "1", shell: true }, 'Error: run_code has no "shell"; it has code, language, requirements, timeout, files'],
    ["run_code", '{"code": "1", "__proto__": {}}', /^Error: run_code has no "__proto__"/],
    ["get_execution", { execution_id: ".." }, 'Error: ".." is no id and no name'],
    ["read_artifact", { execution_id: "j", name: "../x" }, 'Error: "../x" is no name of an artifact'],
    ["read_artifact", { execution_id: "j", name: "x", offset: -1 }, "Error: offset and limit must not be negative"],
  ] as [string, unknown, string | RegExp][]) {
    const got = await callTool(c, name, args);
    if (typeof want === "string") assert.equal(got, want);
    else assert.match(got, want);
  }
});

test("code that fails is an answer", async (t) => {
  const s = await stub(t, ran, { body: record });
  const files = [{ path: "t", content: "x" }, { path: "b", content_base64: "/w==" }, { path: "e" }];
  const got = await callTool(new Client(s.url), "run_code", JSON.stringify({ code: "1/0", files, language: null, timeout: 5 }), { jobType: "agent" });
  assert.deepEqual(JSON.parse(got), {
    execution_id: "api-1", status: "failed", exit_code: 1, stdout: "out", stderr: "", error: record.error,
    artifacts: [{ name: "a.png", size_bytes: 3, content_type: "image/png" }],
  });
  assert.deepEqual(JSON.parse(s.seen[0].body.toString()), {
    code: "1/0", timeout: 5, job_type: "agent", cancel_on_disconnect: true,
    files: [{ path: "t", text: "x" }, { path: "b", content: "/w==" }, { path: "e", text: "" }],
  });
});

test("long output is cut between two characters, and said to be", async (t) => {
  const long = { ...record, stdout: `a${"é".repeat(20_000)}`, stderr: "e", stderr_truncated: true, output: "x".repeat(40_000) };
  const got = JSON.parse(await callTool(new Client((await stub(t, { body: long })).url), "get_execution", { execution_id: "j" }));
  assert.equal(got.stdout, `a${"é".repeat(16_383)}`);
  assert.deepEqual([got.cut, got.output], [["stdout: 32767 bytes are shown", "stderr: 1 bytes are shown", "output: its 40002 bytes are left out"], undefined]);
});

test("files are read in parts", async (t) => {
  const text = { raw: "aé€z", headers: { "Content-Type": "text/plain" } };
  const read = async (answer: typeof text | { raw: Uint8Array }, args: object) =>
    JSON.parse(await callTool(new Client((await stub(t, answer)).url), "read_artifact", { execution_id: "j", name: "a", ...args }));
  assert.deepEqual(await read(text, {}), { name: "a", size_bytes: 7, content_type: "text/plain", offset: 0, bytes: 7, more: false, content: "aé€z" });
  assert.deepEqual(await read(text, { limit: 5 }), { name: "a", size_bytes: 7, content_type: "text/plain", offset: 0, bytes: 3, more: true, content: "aé" });
  assert.deepEqual(await read(text, { offset: 3 }), { name: "a", size_bytes: 7, content_type: "text/plain", offset: 3, bytes: 4, more: false, content: "€z" });
  assert.deepEqual(await read(text, { offset: 9 }), { name: "a", size_bytes: 7, content_type: "text/plain", offset: 9, bytes: 0, more: false, content: "" });
  const binary = await read({ raw: new Uint8Array(40_000).fill(255) }, {});
  assert.deepEqual([binary.bytes, binary.more, binary.content_base64.length, binary.content], [32768, true, 43692, undefined]);
});

test("what a model can mend is told, what it cannot is thrown", async (t) => {
  const asked = async (status: number, detail: unknown) =>
    callTool(new Client((await stub(t, { status, body: { detail } })).url, { retries: 0 }), "run_code", { code: "1" });
  assert.equal(await asked(422, [{ type: "x", loc: ["body", "language"], msg: "no" }]), "Error: language: no");
  assert.equal(await asked(404, "Job type 'x' not found"), "Error: Job type 'x' not found");
  for (const [status, kind] of [[401, "unauthorized"], [429, "rate_limited"], [500, "server"], [503, "unavailable"]] as const) {
    await assert.rejects(asked(status, "no"), { kind });
  }
  assert.equal(await callTool(new Client((await stub(t, { body: { success: false, execution_id: null, error: "refused" } })).url), "run_code", { code: "1" }), "Error: refused");
});
