import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Client, TakoError, type ExecuteRequest } from "../src/index.js";

interface Exchange {
  name: string; call: string; args: { id: string; request: ExecuteRequest };
  request: { method: string; path: string; query: Record<string, string>; body?: unknown };
  answer: { status: number; headers: Record<string, string>; body?: unknown; raw?: string };
  error?: { kind: string; status: number; message?: string; correlation_id: string };
}

// Compiled tests are in dist/test.
const file = new URL("../../../../test/vectors/exchanges.json", import.meta.url);

for (const x of JSON.parse(readFileSync(file, "utf8")) as Exchange[]) {
  test(x.name, async () => {
    let seen: unknown;
    const server = createServer(async (r, w) => {
      let body = "";
      for await (const piece of r) body += piece;
      const [path, query] = r.url!.split("?");
      seen = { method: r.method, path, query: Object.fromEntries(new URLSearchParams(query)), ...(body && { body: JSON.parse(body) }) };
      w.writeHead(x.answer.status, x.answer.headers).end(x.answer.raw ?? JSON.stringify(x.answer.body));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    try {
      const c = new Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const { id, request } = x.args;
      const calls: Record<string, () => Promise<unknown>> = {
        submit: () => c.submit(request), status: () => c.status(id), result: () => c.result(id), cancel: () => c.cancel(id),
      };
      const got = await calls[x.call]().catch((e: unknown) => e);
      assert.deepEqual(seen, x.request);
      if (!x.error) return assert.deepEqual(got, x.answer.body);
      assert.ok(got instanceof TakoError, String(got));
      assert.deepEqual([got.kind, got.status, got.correlationId], [x.error.kind, x.error.status, x.error.correlation_id]);
      if (x.error.message) assert.equal(got.message, x.error.message);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
}
