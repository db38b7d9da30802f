import { createServer, type IncomingMessage, type Server as HttpServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import type { TestContext } from "node:test";

/** What a stub server answers. cut: it promises more than it sends, and hangs up. */
export interface Answer {
  status?: number; headers?: Record<string, string>; body?: unknown; raw?: string | Uint8Array; raw_base64?: string; cut?: boolean;
}
export interface Seen { method: string; path: string; query: Record<string, string>; headers: IncomingMessage["headers"]; body: Buffer }

export function bytesOf(a: Answer): Buffer {
  if (a.body !== undefined) return Buffer.from(JSON.stringify(a.body));
  return a.raw_base64 === undefined ? Buffer.from(a.raw ?? "") : Buffer.from(a.raw_base64, "base64");
}

/** A server that gives answers, one after the other, and the last again and again. It ends with the test. */
export async function stub(t: TestContext, ...answers: Answer[]): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (r, w) => {
    const parts: Buffer[] = [];
    for await (const piece of r) parts.push(piece as Buffer);
    const [path, query] = r.url!.split("?"), a = answers[Math.min(seen.length, answers.length - 1)];
    seen.push({ method: r.method!, path, query: Object.fromEntries(new URLSearchParams(query)), headers: r.headers, body: Buffer.concat(parts) });
    const body = bytesOf(a);
    w.writeHead(a.status ?? 200, { ...a.headers, "Content-Length": body.length + (a.cut ? 10 : 0) });
    if (!a.cut) return void w.end(body);
    w.flushHeaders();
    w.write(body, () => w.destroy());
  });
  t.after(() => close(server));
  return { url: await listen(server), seen };
}

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function close(server: HttpServer): void {
  server.closeAllConnections();
  server.close();
}
