import { halved, invalid } from "./error.js";
import { json, type Body, type Call } from "./http.js";
import type { ExecuteRequest, InputFile } from "./requests.js";

/** What is sent as a file. */
export type Content = Uint8Array | Blob | string;
/** The same, and what is read once. */
export type Streamed = Content | AsyncIterable<Uint8Array>;

const octets = { type: "application/octet-stream" };

function blob(c: Content): Blob { return new Blob([c], octets); }

/** A call that posts a job: as a form where files go along. */
export function jobCall(path: string, r: ExecuteRequest): Call {
  const sent = (r.files ?? []).filter((f) => f.data !== undefined);
  if (sent.length === 0) return { method: "POST", path, body: r };
  for (const f of sent) if (halved(f.path)) throw invalid(`the path ${JSON.stringify(f.path)} holds half a character`);
  const others = r.files!.filter((f) => f.data === undefined);
  const text = json({ ...r, files: others.length > 0 ? others : undefined });
  return { method: "POST", path, content: () => ({ body: form(text, sent) }) };
}

function form(request: string, files: InputFile[]): FormData {
  const form = new FormData();
  form.append("request", request);
  for (const f of files) form.append("file", blob(f.data!), f.path);
  return form;
}

/** Refuses files in jobs that cannot have them beside them. */
export function withoutData(items: ExecuteRequest[]): void {
  items.forEach((item, n) => {
    if (item.files?.some((f) => f.data !== undefined)) throw invalid(`item ${n} has a file with data; upload() it, and name the upload`);
  });
}

/** The body of an upload. */
export function uploadOf(c: Streamed): { body: Body; type?: string } {
  if (typeof c === "string" || c instanceof Uint8Array || c instanceof Blob) {
    const form = new FormData();
    form.append("file", blob(c), "file");
    return { body: form };
  }
  const boundary = `tako-${crypto.randomUUID()}`;
  return { body: stream(parts(c, boundary)), type: `multipart/form-data; boundary=${boundary}` };
}

async function* parts(c: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  yield bytes(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\nContent-Type: ${octets.type}\r\n\r\n`);
  yield* c;
  yield bytes(`\r\n--${boundary}--\r\n`);
}

function stream(from: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(to) {
      const next = await from.next();
      if (next.done) to.close();
      else to.enqueue(next.value);
    },
    async cancel() { await from.return(); },
  });
}
