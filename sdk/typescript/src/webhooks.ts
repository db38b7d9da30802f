import type { Batch, ExecutionRecord } from "./answers.js";
import { hex } from "./download.js";
import { WebhookError } from "./error.js";

const longestHeader = 1024;

export interface VerifyOptions {
  /** How many seconds the webhook may be from now, in either direction: 300 by default. */
  tolerance?: number;
  /** Seconds since 1970; the clock's by default. */
  now?: number;
}

/** Answers the record, or the batch, of a webhook that was signed with this secret; a WebhookError otherwise. body is what was
 * received, before anything decodes it; signature the value of Tako-Signature. One with several v1 is valid if one of them is. */
export async function verifyWebhook<T = ExecutionRecord | Batch>(
  secret: string, body: Uint8Array | string, signature: string | null | undefined, o: VerifyOptions = {},
): Promise<T> {
  if (!secret) throw new WebhookError("signature", "there is no secret to check the webhook with");
  const { at, sums } = parse(signature ?? ""), data = bytesOf(body);
  const want = await mac(secret, at, data);
  if (!sums.map((sum) => same(sum, want)).includes(true)) {
    throw new WebhookError("signature", "the webhook was signed with another secret or for another body");
  }
  if (!(Math.abs((o.now ?? Date.now() / 1000) - Number(at)) <= (o.tolerance ?? 300))) {
    throw new WebhookError("stale", "the signature of the webhook is too old, or of the future");
  }
  let record: unknown;
  try { record = JSON.parse(new TextDecoder().decode(data)); } catch { /* it is told below */ }
  if (typeof record === "object" && record !== null && !Array.isArray(record)) return record as T;
  throw new WebhookError("body", "the webhook is no JSON object");
}

/** The value of Tako-Signature, to test receivers with. now is in seconds since 1970. */
export async function signWebhook(secret: string, body: Uint8Array | string, now = Date.now() / 1000): Promise<string> {
  const at = String(Math.floor(now));
  return `t=${at},v1=${await mac(secret, at, bytesOf(body))}`;
}

async function mac(secret: string, at: string, body: Uint8Array): Promise<string> {
  const key = await crypto.subtle.importKey("raw", bytesOf(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const before = bytesOf(`${at}.`), signed = new Uint8Array(before.length + body.length);
  signed.set(before);
  signed.set(body, before.length);
  return hex(await crypto.subtle.sign("HMAC", key, signed));
}

/** Compares in a time that does not depend on where they differ. */
function same(sum: string, want: string): boolean {
  let differs = sum.length ^ want.length;
  for (let n = 0; n < want.length; n++) differs |= sum.charCodeAt(n) ^ want.charCodeAt(n);
  return differs === 0;
}

/** Time and sums of a header. Elements that are not known are left out. */
function parse(header: string): { at: string; sums: string[] } {
  if (header.length > longestHeader) throw new WebhookError("signature", "the signature of the webhook is too long");
  let at = "";
  const sums: string[] = [];
  for (const element of header.split(",")) {
    const [, name, value] = /^\s*([^=]*)=?(.*?)\s*$/s.exec(element)!;
    if (name === "t") {
      if (at || !/^[0-9]{1,12}$/.test(value)) throw new WebhookError("signature", "the signature of the webhook has no time in seconds, or two");
      at = value;
    } else if (name === "v1") {
      if (!/^[0-9a-fA-F]{64}$/.test(value)) throw new WebhookError("signature", "the signature of the webhook is not 64 hex digits");
      sums.push(value.toLowerCase());
    }
  }
  if (!at || sums.length === 0) throw new WebhookError("signature", "the webhook is not signed, or its signature has no time or no sum");
  return { at, sums };
}

function bytesOf(text: Uint8Array | string): Uint8Array { return typeof text === "string" ? new TextEncoder().encode(text) : text; }
