// What a hostile server or program may try. Every case ends in a TakoError, or in text for the model.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { Client, JobEvent, TakoError, signWebhook, verifyWebhook } from "../src/index.js";
import { longestClock, sleep } from "../src/pause.js";
import { frames } from "../src/sse.js";
import { stub, type Answer } from "./stub.js";

const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
const events = (raw: string): Answer => ({ raw, headers: { "Content-Type": "text/event-stream" } });
const once = async (t: Parameters<typeof stub>[0], ...answers: Answer[]) => new Client((await stub(t, ...answers)).url, { retries: 0 });
async function all(from: AsyncIterable<unknown>): Promise<unknown[]> {
  const found = [];
  for await (const each of from) found.push(each);
  return found;
}

test("the key is nowhere to be seen", async (t) => {
  const s = await stub(t, { status: 500, body: { detail: "no" } }), c = new Client(s.url, { apiKey: "the-key", correlationId: "mine" });
  const error = await c.execute({ code: "1" }).catch((e: unknown) => e), away = await new Client("http://127.0.0.1:1", { apiKey: "the-key", retries: 0 }).pool().catch((e: unknown) => e);
  for (const seen of [c, error, away]) {
    assert.doesNotMatch(inspect(seen, { depth: Infinity, showHidden: true }) + JSON.stringify(seen), /the-key/);
  }
  assert.deepEqual([s.seen[0].headers.authorization, s.seen[0].headers["x-correlation-id"]], ["Bearer the-key", "mine"]);
});

test("an answer that is small until it is decompressed", async (t) => {
  const gzip = (text: string | Buffer) => ({ raw: gzipSync(text, { level: 1 }), headers: { "Content-Encoding": "gzip" } });
  const c = await once(t, gzip(Buffer.alloc(128 * 2 ** 20 + 1, 32)));
  await assert.rejects(c.pool(), { kind: "malformed", message: /longer than 128 MiB/ });
  await assert.rejects((await c.artifact("j", "a")).bytes(), { kind: "malformed", message: /longer than 128 MiB/ });
  const small = await once(t, gzip('{"status": "healthy"}'));
  assert.equal((await small.health()).status, "healthy");
  assert.equal((await small.artifact("j", "a")).size, undefined); // its length on the way is another
});

test("encodings that nobody asked for", async (t) => {
  for (const encoding of ["zstd", "gzip, gzip", "nonsense"]) {
    const s = await stub(t, { raw: gzipSync(gzipSync("{}")), headers: { "Content-Encoding": encoding, "X-Correlation-ID": "c" } }), c = new Client(s.url);
    for (const call of [c.health(), c.artifact("j", "a"), c.events("j").next()]) {
      await assert.rejects(call, { kind: "malformed", message: /encoded as/, correlationId: "c" });
    }
    assert.deepEqual(new Set(s.seen.map((r) => r.headers["accept-encoding"])), new Set(["gzip, deflate"]));
  }
});

test("when to come back", async (t) => {
  for (const [text, want] of [
    ["9".repeat(400), 2 ** 30], ["-5", 0], ["NaN", 0], ["inf", 0], ["1e3", 0], ["Fri, 01 Jan 9999 00:00:00 GMT", 2 ** 30],
    ["Mon, 01 Jan 0001 00:00:00 GMT", 0], ["Mon, 01 Jan 2024 00:00:00 +999999999999999", 0],
  ] as const) {
    const c = await once(t, { status: 429, headers: { "Retry-After": text }, body: { detail: "slowly" } });
    await assert.rejects(c.pool(), (e: TakoError) => e.retryAfter === want, text);
  }
});

test("a wait that is longer than a clock can be set to", async (t) => {
  const set: number[] = [];
  t.mock.method(globalThis, "setTimeout", (done: () => void, ms: number) => { set.push(ms); queueMicrotask(done); });
  await sleep(3 * longestClock + 5);
  assert.deepEqual(set.map(Math.round), [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1, 5000]);
});

test("a wait ends when it was to end", async (t) => {
  const slow = { status: 429, headers: { "Retry-After": "20" }, body: { detail: "slowly" } };
  await assert.rejects(new Client((await stub(t, slow)).url).wait("j", { timeout: 5 }), { kind: "rate_limited", retryAfter: 20 });
  await assert.rejects(new Client((await stub(t, slow)).url).waitBatch("b", { timeout: 5 }), { kind: "rate_limited", retryAfter: 20 });
});

test("numbers that bound nothing", async () => {
  for (const o of [{ retries: NaN }, { retries: -1 }, { timeout: NaN }, { timeout: "5" as unknown as number }]) {
    assert.throws(() => new Client("http://x", o), { kind: "invalid", message: /^(retries|timeout) must be a number/ });
  }
  const c = new Client("http://127.0.0.1:1");
  for (const call of [
    c.wait("j", { timeout: NaN }), c.waitBatch("j", { timeout: -1 }), c.result("j", { wait: NaN }), c.events("j", { patience: NaN }).next(),
  ]) await assert.rejects(call, { kind: "invalid", message: /^(timeout|wait|patience) must be a number/ });
});

test("what is nested deep", async (t) => {
  assert.equal((await (await once(t, { status: 422, raw: `{"detail": [{"loc": [${deep}], "msg": "x"}]}` })).pool().catch((e: unknown) => e) as TakoError).kind, "invalid");
  await assert.rejects((await once(t, { raw: deep })).pool(), { kind: "malformed" });
  await assert.rejects(all((await once(t, events(`data: ${deep}\n\n`))).events("j")), { kind: "malformed" });
  await assert.rejects(verifyWebhook("s", deep, await signWebhook("s", deep)), { reason: "body" });
  const e = new JobEvent("1", "stdout", JSON.parse(`{"ts": ${deep}, "attempt": ${deep}, "b64": ${deep}}`));
  assert.deepEqual([e.ts, e.attempt, e.text], ["", 0, ""]);
  const build = (await once(t, events(`event: error\ndata: {"detail": ${deep}}\n\n`))).followBuild("x");
  await assert.rejects(all(build), { kind: "server", message: /does not say why/ });
  let value: unknown = 1;
  for (let n = 0; n < 50_000; n++) value = [value];
  await assert.rejects(new Client("http://x").submit({ code: "1", input_data: { value } }), { kind: "invalid", message: /cannot be written as JSON/ });
});

test("lists that are none", async (t) => {
  for (const items of [3, [null], [[]], null, "x"]) {
    const c = await once(t, { body: { items, has_more: true } });
    for (const call of [c.artifacts("j"), c.executions(), c.dlq(), c.deliveries(), c.batchResults("b"), c.iterBatchResults("b").next()]) {
      await assert.rejects(call, { kind: "malformed", message: /no list of items/ });
    }
  }
  await assert.rejects((await once(t, { body: [null] })).keys(), { kind: "malformed", message: /no list of objects/ });
});

test("a batch and a job that stand nowhere", async (t) => {
  await assert.rejects((await once(t, { body: {} })).waitBatch("b"), { kind: "malformed", message: /no status/ });
  await assert.rejects(all((await once(t, events(""), { body: {} })).events("j")), { kind: "malformed", message: /no status/ });
});

test("many lines of one event", async () => {
  const lines = Buffer.from("data\n".repeat(10_000));
  async function* pieces() { for (let n = 0; n < 40; n++) yield lines; } // 2 MB on the wire, 26 here
  await assert.rejects(all(frames(pieces())), { kind: "malformed" });
});

test("ids of events that no header can have", async (t) => {
  for (const id of ["é", "a\u0001"]) {
    await assert.rejects(all((await once(t, events(`id: ${id}\nevent: stdout\ndata: {}\n\n`))).events("j")), { kind: "malformed", message: /no header can have/ });
    await assert.rejects(new Client("http://127.0.0.1:1").events("j", { after: id }).next(), { kind: "invalid" });
  }
});

test("half a character is not sent as another one", async (t) => {
  const s = await stub(t, { body: {} }), c = new Client(s.url), half = "a\ud800";
  for (const call of [
    () => c.submit({ code: half }), () => c.submit({ code: "1", env: { [half]: "x" } }), () => c.executions({ labels: { a: half } }),
    () => c.execute({ code: "1", files: [{ path: half, data: "x" }] }), () => c.status(half), () => c.artifact("j", half), () => c.setSecret("n", half),
    () => c.submit({ code: "1" }, { correlationId: half }),
  ]) await assert.rejects(call, { kind: "invalid" }, String(call));
  assert.equal(s.seen.length, 0);
  await c.health().catch(() => {});
  assert.equal(s.seen.length, 1);
});

test("addresses", () => {
  for (const url of ["http://[::1", "http://u:secret@host:bad", "file:///etc", "http://", "//x", "http://h:99999", "http://x?", "http://x/#"]) {
    assert.throws(() => new Client(url), (e: TakoError) => e.kind === "invalid" && !e.message.includes("secret"), url);
  }
});

test("what is no id", async () => {
  const c = new Client("http://127.0.0.1:1");
  for (const id of [1n, JSON.parse(deep), undefined, {}] as unknown as string[]) {
    for (const call of [() => c.status(id), () => c.artifact("j", id), () => c.deleteDlq(id as unknown as number)]) await assert.rejects(call, { kind: "invalid" });
  }
});
