import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Client, TakoError, type ExecuteRequest } from "../src/index.js";

interface Answer {
  status: number; headers: Record<string, string>; body?: unknown; raw?: string; raw_base64?: string; cut?: boolean;
}
interface Exchange {
  name: string; call: string; args: { id: string; request: ExecuteRequest; wait?: number };
  client: { api_key?: string; correlation_id?: string };
  request: { method: string; path: string; query: Record<string, string>; headers: Record<string, string>; body?: unknown };
  answer: Answer;
  error?: { kind: string; status: number; message?: string; correlation_id?: string; retry_after?: number };
}

// What this client cannot do yet.
const missing = new Set([
  "rerun", "fork", "delete", "events", "artifact", "artifacts_zip", "upload", "executions", "lineage", "diff", "submit_batch", "batch",
  "batch_results", "cancel_batch", "job_types", "job_type", "create_job_type", "replace_job_type", "delete_job_type", "build_job_type",
  "job_type_versions", "build_log", "build_lock", "secrets", "set_secret", "delete_secret", "keys", "create_key", "delete_key", "dlq",
  "dlq_stats", "delete_dlq", "replay_dlq", "deliveries", "ready", "metrics",
]);
// These clients answer what comes, whatever its fields are.
const unchecked = new Set(["a list in the place of an object", "a job without an id", "health of something else"]);

// Compiled tests are in dist/test.
const file = new URL("../../../../test/vectors/exchanges.json", import.meta.url);

for (const x of JSON.parse(readFileSync(file, "utf8")) as Exchange[]) {
  const skip = missing.has(x.call) || x.args.wait !== undefined || unchecked.has(x.name);
  test(x.name, { skip }, async () => {
    let seen: unknown;
    const server = createServer(async (r, w) => {
      seen = await look(r, x);
      const body = bytes(x.answer);
      w.writeHead(x.answer.status, { ...x.answer.headers, "Content-Length": body.length + (x.answer.cut ? 10 : 0) });
      if (x.answer.cut) w.write(body, () => w.destroy());
      else w.end(body);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    try {
      const c = new Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        { apiKey: x.client.api_key, correlationId: x.client.correlation_id, retries: 0 });
      const got = await call(c, x).catch((e: unknown) => e);
      assert.deepEqual(seen, x.request);
      if (!x.error) return assert.deepEqual(got, x.answer.body);
      failed(got, x);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
}

/** A request as vectors have it: of its headers those that count. */
async function look(r: IncomingMessage, x: Exchange) {
  let body = "";
  for await (const piece of r) body += piece;
  const [path, query] = r.url!.split("?");
  const headers: Record<string, unknown> = {};
  for (const name of [...Object.keys(x.request.headers), "Authorization", "X-API-Key"]) {
    const value = r.headers[name.toLowerCase()];
    if (value !== undefined) headers[name] = value;
  }
  return { method: r.method, path, query: Object.fromEntries(new URLSearchParams(query)), headers, ...(body && { body: JSON.parse(body) }) };
}

function bytes(a: Answer): Buffer {
  if (a.body !== undefined) return Buffer.from(JSON.stringify(a.body));
  return a.raw_base64 === undefined ? Buffer.from(a.raw ?? "") : Buffer.from(a.raw_base64, "base64");
}

async function call(c: Client, x: Exchange): Promise<unknown> {
  const { id, request } = x.args;
  const calls: Record<string, () => Promise<unknown>> = {
    execute: () => c.execute(request), submit: () => c.submit(request), status: () => c.status(id), result: () => c.result(id),
    cancel: () => c.cancel(id), execution: () => c.execution(id), artifacts: () => c.artifacts(id), health: () => c.health(), pool: () => c.pool(),
  };
  return calls[x.call]();
}

function failed(got: unknown, x: Exchange) {
  assert.ok(got instanceof TakoError, String(got));
  const { kind, status, message, correlation_id, retry_after } = x.error!;
  assert.deepEqual([got.kind, got.status, got.retryAfterMs], [kind, status, (retry_after ?? 0) * 1000]);
  if (correlation_id) assert.equal(got.correlationId, correlation_id);
  if (message) assert.equal(got.message, message);
  const detail = (x.answer.body as { detail?: unknown } | undefined)?.detail;
  if (Array.isArray(detail)) assert.deepEqual(got.problems, detail);
}
