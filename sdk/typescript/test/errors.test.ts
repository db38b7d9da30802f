import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { Client, TakoError, type Options } from "../src/index.js";
import { close, listen, stub } from "./stub.js";

const busy = { status: 503, body: { detail: "busy" } }, good = { body: { job_id: "j", status: "queued" } };

/** A client whose answers are made here. */
function answering(make: () => Response | Promise<Response>, o: Options = {}): Client {
  return new Client("http://tako.example", { ...o, fetch: async () => make() });
}

/** An answer of so many MiB, which nobody holds as a whole. */
function long(mib: number, status: number): Response {
  const piece = new Uint8Array(2 ** 20).fill(32);
  let n = 0;
  return new Response(new ReadableStream({ pull(to) { if (n++ < mib) to.enqueue(piece); else to.close(); } }), { status });
}

test("no server", async () => {
  const server = createServer(), url = await listen(server);
  await new Promise((done) => server.close(done));
  await assert.rejects(new Client(url, { retries: 0 }).health(), (e: TakoError) => {
    assert.deepEqual([e.kind, e.status, e.correlationId, e.temporary], ["unreachable", 0, "", true]);
    assert.match(e.message, new RegExp(`^${url} cannot be reached: .*ECONNREFUSED`));
    return e instanceof Error && e.cause !== undefined;
  });
});

test("a server that does not answer", async (t) => {
  const server = createServer(() => {});
  t.after(() => close(server));
  const c = new Client(await listen(server), { timeout: 0.1, retries: 0 });
  await assert.rejects(c.pool(), { kind: "unreachable", message: /no answer in time/ });
});

test("what fetch does not wait for", async () => {
  const gone = Object.assign(new Error("Headers Timeout Error"), { code: "UND_ERR_HEADERS_TIMEOUT" });
  const c = answering(() => { throw new TypeError("fetch failed", { cause: gone }); });
  await assert.rejects(c.execute({ code: "1" }), { kind: "unreachable", message: /five minutes.*submit\(\) and wait\(\)/ });
});

test("an answer that is too long", async () => {
  await assert.rejects(answering(() => long(129, 200)).pool(), { kind: "malformed", message: /longer than 128 MiB/ });
  await assert.rejects(answering(() => long(300, 500)).pool(), { kind: "server", message: /no reason that a Tako server gives/ });
});

test("a redirect that a browser hides", async () => {
  const hidden = () => Object.defineProperties(Response.error(), { type: { value: "opaqueredirect" } });
  await assert.rejects(answering(hidden).pool(), { kind: "malformed", message: /redirects/ });
});

test("an answer that does not say whether the code succeeded", async () => {
  await assert.rejects(answering(() => Response.json({ ok: 1 })).execute({ code: "1" }), { kind: "malformed" });
});

test("what no client can be made with", () => {
  for (const url of ["", "localhost:8000", "ftp://x", "http://x?q", "http://x#f", "http://u:secret@x"]) {
    assert.throws(() => new Client(url || " "), (e: TakoError) => e.kind === "invalid" && !e.message.includes("secret"), url);
  }
  for (const o of [{ apiKey: "secret\nX: y" }, { apiKey: "secret\u007f" }, { apiKey: "secretü" }, { correlationId: "a\rb" }]) {
    assert.throws(() => new Client("http://x", o), (e: TakoError) => e.kind === "invalid" && /control characters/.test(e.message) && !e.message.includes("secret"));
  }
  assert.equal(new Client("http://x/tako///").url, "http://x/tako");
});

test("what cannot be sent", async (t) => {
  const s = await stub(t, good), c = new Client(s.url), circle: Record<string, unknown> = {};
  circle.self = circle;
  for (const input_data of [{ a: NaN }, { a: [Infinity] }, { a: 1n }, circle]) {
    await assert.rejects(c.submit({ code: "1", input_data }), { kind: "invalid", message: /cannot be written as JSON/ });
  }
  for (const id of ["", ".", "..", "...", "\ud800", undefined as unknown as string, 7 as unknown as string]) {
    await assert.rejects(c.status(id), { kind: "invalid" });
  }
  for (const name of ["", "/a", "a/", "a/../b", "a/\ud800"]) await assert.rejects(c.artifact("j", name), { kind: "invalid" });
  await assert.rejects(c.deleteDlq(1.5), { kind: "invalid" });
  await assert.rejects(c.pool({ correlationId: "a\nb" }), { kind: "invalid" });
  await assert.rejects(c.submitBatch({ items: [{ code: "1" }, { code: "2", files: [{ path: "a", data: "x" }] }] }), { message: /^item 1 has a file/ });
  assert.equal(s.seen.length, 0);
});

test("calls that read are repeated", async (t) => {
  const s = await stub(t, busy, { status: 502, raw: "<html>" }, good);
  assert.equal((await new Client(s.url).status("j", { correlationId: "mine" })).job_id, "j");
  assert.deepEqual(s.seen.map((r) => r.headers["x-correlation-id"]), ["mine", "mine", "mine"]);
});

test("they are when the server says, up to 30 s", async (t) => {
  const s = await stub(t, { status: 429, headers: { "Retry-After": "1" }, body: { detail: "slow" } }, good), before = performance.now();
  await new Client(s.url).status("j");
  assert.ok(performance.now() - before >= 990);
  const later = await stub(t, { status: 503, headers: { "Retry-After": new Date(Date.now() + 90_000).toUTCString() }, body: { detail: "slow" } });
  await assert.rejects(new Client(later.url).status("j"), (e: TakoError) => e.retryAfter > 60 && e.retryAfter <= 90);
  assert.equal(later.seen.length, 1);
});

test("they are three times at most, and other errors are not", async (t) => {
  const s = await stub(t, busy), fault = await stub(t, { status: 500, body: { detail: "no" } });
  await assert.rejects(new Client(s.url).status("j"), { kind: "unavailable" });
  await assert.rejects(new Client(fault.url).status("j"), { kind: "server" });
  assert.deepEqual([s.seen.length, fault.seen.length], [4, 1]);
});

test("submit is tried three times with one key", async (t) => {
  const s = await stub(t, busy), own = await stub(t, busy, good);
  await assert.rejects(new Client(s.url).submit({ code: "1" }), { kind: "unavailable" });
  const keys = s.seen.map((r) => JSON.parse(r.body.toString()).idempotency_key as string);
  assert.equal(keys.length, 3);
  assert.match(keys[0], /^sdk-[0-9a-f-]{36}$/);
  assert.equal(new Set(keys).size, 1);
  await new Client(own.url).submit({ code: "1", idempotency_key: "mine" });
  assert.deepEqual(own.seen.map((r) => JSON.parse(r.body.toString()).idempotency_key), ["mine", "mine"]);
});

test("calls that make something are not repeated, nor is health", async (t) => {
  const s = await stub(t, busy), c = new Client(s.url);
  const calls = [() => c.execute({ code: "1" }), () => c.cancel("j"), () => c.rerun("j"), () => c.submitBatch({ items: [] }),
    () => c.createKey({ name: "n", scopes: [] }), () => c.upload("x"), () => c.health(), () => c.ready()];
  for (const call of calls) await assert.rejects(call(), { kind: "unavailable" });
  assert.equal(s.seen.length, calls.length);
});

test("a signal ends a call with its reason", async (t) => {
  const server = createServer(() => {});
  t.after(() => close(server));
  const reason = new Error("enough"), c = new Client(await listen(server)), away = new Client((await stub(t, busy)).url);
  await assert.rejects(c.execute({ code: "1" }, { signal: AbortSignal.abort(reason) }), reason);
  for (const call of [(signal: AbortSignal) => c.execute({ code: "1" }, { signal }), (signal: AbortSignal) => away.wait("j", { signal })]) {
    const ends = new AbortController(), called = call(ends.signal);
    setTimeout(() => ends.abort(reason), 50);
    await assert.rejects(called, reason);
  }
});

test("calls leave nothing at a signal", async (t) => {
  const { signal } = new AbortController(), c = new Client((await stub(t, good, busy, good)).url, { retries: 0 });
  await c.status("j", { signal });
  await assert.rejects(c.status("j", { signal }));
  await (await c.artifact("j", "a", { signal })).bytes();
  assert.equal(getEventListeners(signal, "abort").length, 0);
});
