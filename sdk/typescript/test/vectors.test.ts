import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Client, TakoError } from "../src/index.js";
import { bytesOf, stub, type Answer, type Seen } from "./stub.js";

interface Part { name: string; filename: string; content_type: string; content: string }
interface Exchange {
  name: string; call: string; args: any; client: { api_key?: string; correlation_id?: string }; answer: Answer;
  request: { method: string; path: string; query: Record<string, string>; headers: Record<string, string>; body?: unknown; form?: Part[] };
  error?: { kind: string; status: number; message?: string; correlation_id?: string; retry_after?: number };
}

// Compiled tests are in dist/test.
const file = new URL("../../../../test/vectors/exchanges.json", import.meta.url);

for (const x of JSON.parse(readFileSync(file, "utf8")) as Exchange[]) {
  test(x.name, async (t) => {
    const s = await stub(t, x.answer);
    const c = new Client(s.url, { apiKey: x.client.api_key, correlationId: x.client.correlation_id, retries: 0 });
    const got = await calls[x.call](c, x.args ?? {}).catch((e: unknown) => e);
    assert.equal(s.seen.length, 1, String(got));
    await looked(s.seen[0], x);
    if (x.error) return failed(got, x);
    if (got instanceof Error) throw got;
    assert.deepEqual(got, wanted(x));
  });
}

const bytes = async (from: Promise<{ bytes(): Promise<Uint8Array> }>) => Buffer.from(await (await from).bytes());

const calls: Record<string, (c: Client, a: any) => Promise<unknown>> = {
  execute: (c, a) => c.execute(a.request),
  submit: (c, a) => c.submit(a.request),
  status: (c, a) => c.status(a.id),
  result: (c, a) => c.result(a.id, { wait: a.wait }),
  cancel: (c, a) => c.cancel(a.id),
  delete: (c, a) => c.deleteJob(a.id),
  rerun: (c, a) => c.rerun(a.id, a.request),
  fork: (c, a) => c.fork(a.id, a.request),
  events: async (c, a) => {
    const all = [];
    for await (const e of c.events(a.id, { after: a.after, follow: a.follow })) all.push({ id: e.id, type: e.type, data: e.data });
    return all;
  },
  artifacts: (c, a) => c.artifacts(a.id),
  artifact: (c, a) => bytes(c.artifact(a.id, a.name)),
  artifacts_zip: (c, a) => bytes(c.artifactsZip(a.id)),
  upload: (c, a) => c.upload(a.content),
  executions: (c, a) => c.executions(a),
  execution: (c, a) => c.execution(a.id),
  lineage: (c, a) => c.lineage(a.id),
  diff: (c, a) => c.diff(a.id, a.other),
  submit_batch: (c, a) => c.submitBatch(a.request),
  batch: (c, a) => c.batch(a.id),
  batch_results: (c, a) => c.batchResults(a.id, { limit: a.limit, offset: a.offset }),
  cancel_batch: (c, a) => c.cancelBatch(a.id),
  job_types: (c) => c.jobTypes(),
  job_type: (c, a) => c.jobType(a.name),
  create_job_type: (c, a) => c.createJobType(a.name, a.request),
  replace_job_type: (c, a) => c.replaceJobType(a.name, a.request),
  delete_job_type: (c, a) => c.deleteJobType(a.name),
  build_job_type: (c, a) => c.buildJobType(a.name, { tag: a.version_tag }),
  job_type_versions: (c, a) => c.jobTypeVersions(a.name),
  build_log: (c, a) => c.buildLog(a.name, a.build_id),
  build_lock: (c, a) => c.buildLock(a.name, a.build_id),
  secrets: (c) => c.secrets(),
  set_secret: (c, a) => c.setSecret(a.name, a.value),
  delete_secret: (c, a) => c.deleteSecret(a.name),
  keys: (c) => c.keys(),
  create_key: (c, a) => c.createKey(a.request),
  delete_key: (c, a) => c.deleteKey(a.id),
  dlq: (c, a) => c.dlq(a),
  dlq_stats: (c) => c.dlqStats(),
  delete_dlq: (c, a) => c.deleteDlq(a.entry_id),
  replay_dlq: (c, a) => c.replayDlq(a.entry_id),
  deliveries: (c, a) => c.deliveries(a),
  health: (c) => c.health(),
  ready: (c) => c.ready(),
  pool: (c) => c.pool(),
  metrics: (c) => c.metrics(),
};

/** Holds a request against that of a vector. */
async function looked(seen: Seen, x: Exchange) {
  const { method, path, query } = seen, want = x.request;
  // Numbers are compared as numbers.
  const number = (q: Record<string, string>) => Object.fromEntries(Object.entries(q).map(([k, v]) => [k, /^[\d.]+$/.test(v) ? Number(v) : v]));
  assert.deepEqual({ method, path, query: number(query) }, { method: want.method, path: want.path, query: number(want.query) });
  for (const name of [...Object.keys(want.headers), "Authorization", "X-API-Key"]) {
    assert.equal(seen.headers[name.toLowerCase()], want.headers[name] || undefined, name);
  }
  if (!want.form) return assert.deepEqual(seen.body.length > 0 ? JSON.parse(seen.body.toString()) : undefined, want.body);
  const form = await new Response(new Uint8Array(seen.body), { headers: { "Content-Type": seen.headers["content-type"]! } }).formData();
  const parts = [];
  for (const [name, value] of form) {
    const f = value as File;
    parts.push({ name, filename: f.name, content_type: f.type, content: await f.text() });
  }
  assert.deepEqual(parts, want.form);
}

/** What a call that goes well answers. */
function wanted(x: Exchange): unknown {
  if (x.answer.body !== undefined) return x.answer.body;
  const whole = bytesOf(x.answer);
  if (x.call.startsWith("artifact")) return whole;
  if (x.call !== "events") return whole.toString();
  return whole.toString().split("\n\n").filter((block) => block).map((block) => {
    const [id, type, data] = block.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
    return { id, type, data: JSON.parse(data) };
  });
}

function failed(got: unknown, x: Exchange) {
  assert.ok(got instanceof TakoError, String(got));
  const { kind, status, message, correlation_id, retry_after } = x.error!;
  assert.deepEqual([got.kind, got.status, got.retryAfter], [kind, status, retry_after ?? 0]);
  if (correlation_id) assert.equal(got.correlationId, correlation_id);
  if (message) assert.deepEqual([got.message, got.detail], [message, message]);
  const detail = (x.answer.body as { detail?: unknown } | undefined)?.detail;
  if (Array.isArray(detail)) assert.deepEqual(got.problems, detail);
}
