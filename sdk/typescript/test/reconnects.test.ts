import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Client, TakoError } from "../src/index.js";
import { stub, type Answer } from "./stub.js";

interface Reconnect {
  name: string; args: { id: string; after?: string; follow?: boolean };
  connections: { request: { method: string; path: string; query: Record<string, string>; headers: Record<string, string> }; answer: Answer }[];
  events: { id: string; type: string; text?: string }[];
  error?: { kind: string; status: number; message?: string; correlation_id?: string };
}

const file = new URL("../../../../test/vectors/reconnects.json", import.meta.url);

for (const x of JSON.parse(readFileSync(file, "utf8")) as Reconnect[]) {
  test(x.name, async (t) => {
    const s = await stub(t, ...x.connections.map((c) => c.answer)), c = new Client(s.url);
    const got: unknown[] = [];
    try {
      for await (const e of c.events(x.args.id, x.args)) got.push({ id: e.id, type: e.type, ...(e.text && { text: e.text }) });
      assert.equal(x.error, undefined);
    } catch (e) {
      if (!(e instanceof TakoError) || !x.error) throw e;
      assert.deepEqual({ kind: e.kind, status: e.status, message: e.message, correlation_id: e.correlationId }, x.error);
    }
    assert.deepEqual(got, x.events);
    assert.equal(s.seen.length, x.connections.length);
    x.connections.forEach(({ request }, n) => {
      const { method, path, query, headers } = s.seen[n];
      assert.deepEqual({ method, path, query }, { method: request.method, path: request.path, query: request.query });
      for (const [name, value] of Object.entries(request.headers)) assert.equal(headers[name.toLowerCase()] ?? "", value, name);
    });
  });
}
