import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { WebhookError, signWebhook, verifyWebhook } from "../src/index.js";

interface Webhook {
  name: string; secret: string; body: string; header: string; now: number; tolerance?: number; error?: string; signed_at?: number;
}

const file = new URL("../../../../test/vectors/webhooks.json", import.meta.url);

for (const x of JSON.parse(readFileSync(file, "utf8")) as Webhook[]) {
  test(x.name, async () => {
    const got = await verifyWebhook(x.secret, x.body, x.header, { now: x.now, tolerance: x.tolerance }).catch((e: unknown) => e);
    if (x.error) assert.equal(got instanceof WebhookError && got.reason, x.error);
    else assert.deepEqual(got, JSON.parse(x.body));
    if (x.signed_at !== undefined) assert.equal(await signWebhook(x.secret, x.body, x.signed_at), x.header);
  });
}

test("webhooks: what is signed now is good now, also as bytes", async () => {
  const body = new TextEncoder().encode('{"execution_id": "ü"}');
  assert.deepEqual(await verifyWebhook("s", body, await signWebhook("s", body)), { execution_id: "ü" });
});

test("webhooks: a body that is no object", async () => {
  for (const body of ["[]", "null", "1", "{"]) {
    await assert.rejects(verifyWebhook("s", body, await signWebhook("s", body)), { name: WebhookError.name, kind: "invalid", reason: "body" });
  }
  await assert.rejects(verifyWebhook("s", "{}", undefined), { reason: "signature" });
});
