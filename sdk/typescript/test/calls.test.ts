import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";
import { Client, Download, JobEvent, TakoError, type BuildEvent } from "../src/index.js";
import { close, listen, stub, type Answer } from "./stub.js";

const good = { body: { job_id: "j", status: "queued" } };

async function formOf(s: { body: Buffer; headers: NodeJS.Dict<string | string[]> }) {
  const form = await new Response(new Uint8Array(s.body), { headers: { "Content-Type": String(s.headers["content-type"]) } }).formData();
  return Promise.all([...form].map(async ([name, value]) => [name, typeof value === "string" ? value : `${value.name}: ${await value.text()}`]));
}

test("files that go along with a job", async (t) => {
  const s = await stub(t, { body: { success: true } });
  const files = [{ path: "d/é \"x\".txt", data: "é" }, { path: "b", data: new Uint8Array([65]) }, { path: "c", data: new Blob(["c"]) }, { path: "t", text: "t" }];
  await new Client(s.url).execute({ code: "1", files });
  assert.deepEqual(await formOf(s.seen[0]), [
    ["request", JSON.stringify({ code: "1", files: [{ path: "t", text: "t" }] })], ["file", "d/é \"x\".txt: é"], ["file", "b: A"], ["file", "c: c"],
  ]);
});

test("uploads that are read as they are sent", async (t) => {
  const s = await stub(t, { body: { upload_id: "u" } }), c = new Client(s.url);
  async function* read() { yield Buffer.from("one "); yield Buffer.from("two"); }
  for (const content of ["one two", Buffer.from("one two"), new Blob(["one two"]), read()]) await c.upload(content);
  for (const seen of s.seen) assert.deepEqual(await formOf(seen), [["file", "file: one two"]]);
});

test("downloads", async (t) => {
  const digest = createHash("sha256").update("content").digest("hex");
  const whole = { raw: "content", headers: { ETag: `"${digest}"`, "Content-Type": "text/x" } };
  const c = new Client((await stub(t, whole)).url);
  const file = await c.artifact("j", "d/a");
  assert.ok(file instanceof Download);
  assert.deepEqual([file.name, file.size, file.contentType, file.sha256], ["d/a", 7, "text/x", digest]);
  assert.equal(await file.text(), "content");
  let text = "";
  for await (const chunk of await c.artifact("j", "a")) text += Buffer.from(chunk);
  assert.equal(text, "content");
  await (await c.artifact("j", "a")).close();
  const cut = await new Client((await stub(t, { ...whole, cut: true })).url).artifact("j", "a");
  await assert.rejects(async () => { for await (const _ of cut); }, { kind: "unreachable", message: /broke off/ });
});

test("output that is no text", () => {
  const said = (data: object) => new JobEvent("1", "stdout", { ts: "T", attempt: 1, ...data });
  assert.deepEqual([said({ text: "é" }).bytes, said({ b64: "/0E=" }).bytes].map((b) => Buffer.from(b).toString("hex")), ["c3a9", "ff41"]);
  assert.deepEqual([said({ b64: "/0E=" }).text, said({}).text, said({}).ts, said({}).attempt], ["\ufffdA", "", "T", 1]);
  assert.throws(() => said({ b64: "?" }).bytes, { kind: "malformed" });
});

const events = (raw: string): Answer => ({ raw, headers: { "Content-Type": "text/event-stream" } });

test("patience with a server that ends streams ends", async (t) => {
  const s = await stub(t, ...Array.from({ length: 40 }, (_, n) => n % 2 ? { body: { job_id: "j", status: "running" } } : events("")));
  const c = new Client(s.url, { retries: 0 });
  await assert.rejects(async () => { for await (const _ of c.events("j", { patience: 0.25 })); }, { kind: "unreachable", message: /again and again/ });
  assert.ok(s.seen.length >= 4);
});

test("every event renews patience", async (t) => {
  const one = (n: number, type = "stdout") => events(`id: ${n}\nevent: ${type}\ndata: {}\n\n`);
  const s = await stub(t, ...[1, 2, 3, 4, 5, 6].map((n) => ({ ...one(n), cut: true })), one(7, "end")), got = [];
  for await (const e of new Client(s.url).events("j", { patience: 1 })) got.push(e.id);
  assert.deepEqual(got, ["1", "2", "3", "4", "5", "6", "7"]);
});

test("events over a restart of the server", async (t) => {
  const first = createServer((_, w) => {
    w.writeHead(200, { "Content-Type": "text/event-stream" });
    w.write('id: 1\nevent: stdout\ndata: {"text": "one"}\n\n', () => { close(first); });
  });
  const url = await listen(first), seen: unknown[] = [];
  const second = createServer((r, w) => {
    seen.push(r.headers["last-event-id"]);
    w.writeHead(200, { "Content-Type": "text/event-stream" }).end('id: 2\nevent: end\ndata: {"status": "succeeded"}\n\n');
  });
  t.after(() => close(second));
  let refused = 0;
  const watched: typeof fetch = (...args) => fetch(...args).catch((e: unknown) => {
    if (++refused === 1) second.listen(Number(new URL(url).port), "127.0.0.1");
    throw e;
  });
  const got = [];
  for await (const e of new Client(url, { fetch: watched }).events("j")) got.push([e.id, e.type, e.text]);
  assert.deepEqual(got, [["1", "stdout", "one"], ["2", "end", ""]]);
  assert.deepEqual([seen, refused > 0], [["1"], true]);
});

test("events of a server that is not there to begin with", async () => {
  const c = new Client("http://127.0.0.1:1", { retries: 0 });
  await assert.rejects(c.events("j").next(), { kind: "unreachable" });
});

async function built(t: Parameters<typeof stub>[0], raw: string): Promise<BuildEvent[]> {
  const all: BuildEvent[] = [];
  for await (const e of new Client((await stub(t, events(raw))).url).followBuild("x", { tag: "v1" })) all.push(e);
  return all;
}

test("a build that is followed", async (t) => {
  const log = 'event: log\ndata: {"text": "step 1\\n"}\n\n: awake\n\n';
  assert.deepEqual(await built(t, `${log}event: end\ndata: {"version": "x@1"}\n\n`), [
    { type: "log", text: "step 1\n" }, { type: "end", build: { version: "x@1" } },
  ]);
  await assert.rejects(built(t, `${log}event: error\ndata: {"detail": "Build failed: no"}\n\n`), { kind: "server", message: "Build failed: no" });
  await assert.rejects(built(t, log), { kind: "unreachable", message: /may have succeeded/ });
});

test("results of a batch are read page by page", async (t) => {
  const page = (from: number, n: number, has_more: boolean) => ({ body: { items: Array.from({ length: n }, (_, i) => ({ n: from + i })), has_more } });
  const s = await stub(t, page(0, 100, true), page(100, 1, false)), all = [];
  for await (const r of new Client(s.url).iterBatchResults("b")) all.push(r);
  assert.equal(all.length, 101);
  assert.deepEqual(s.seen.map((r) => r.query), [{ limit: "100", offset: "0" }, { limit: "100", offset: "100" }]);
});

test("waiting for a batch that goes on", async (t) => {
  const s = await stub(t, { body: { status: "running" } }, { body: { status: "finished" } });
  assert.equal((await new Client(s.url).waitBatch("b")).status, "finished");
  const c = new Client((await stub(t, { body: { status: "running" } })).url);
  await assert.rejects(c.waitBatch("b", { timeout: 0.1 }), { kind: "timeout", message: "the batch b has not ended in 0.1 s" });
});

test("waiting over a restart", async (t) => {
  const over = { status: 408, body: { detail: "Timeout waiting for job" } }, away = { status: 503, body: { detail: "stopping" } };
  const s = await stub(t, over, away, away, { body: { status: "succeeded" } });
  assert.equal((await new Client(s.url, { retries: 0 }).wait("j")).status, "succeeded");
  assert.deepEqual(s.seen[0].query, { view: "full", wait: "true", timeout: "240" });
  const c = new Client((await stub(t, over)).url);
  await assert.rejects(c.wait("j", { timeout: 0.1 }), { kind: "timeout", status: 408 });
  await assert.rejects(new Client((await stub(t, { status: 404, body: { detail: "no" } })).url).wait("j"), { kind: "not_found" });
});

test("a client of the environment", async (t) => {
  const s = await stub(t, good), before = { ...process.env };
  t.after(() => { process.env = before; });
  process.env.TAKO_URL = s.url;
  process.env.TAKO_API_KEY = " key\n";
  await Client.fromEnv().status("j");
  assert.equal(s.seen[0].headers.authorization, "Bearer key");
  delete process.env.TAKO_URL;
  assert.equal(Client.fromEnv().url, "http://localhost:8000");
});
