import { TakoError, kindOf, type Problem } from "./error.js";
import { longestClock } from "./pause.js";

/** Bounds of an answer that is read as a whole, and of one that is an error. */
export const maxAnswer = 128 * 2 ** 20;
const maxErrorAnswer = 2 ** 20;
const longestAway = 2 ** 30; // seconds; some write more digits than a number has
/** What may be decoded on the way: once, by fetch. */
const encodings = ["", "identity", "gzip", "deflate", "br"];

/** How long a call may last: as the caller's signal and a clock of our own say. */
export class Life {
  private readonly own = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly stop = () => this.own.abort(this.caller!.reason);
  constructor(readonly caller?: AbortSignal) {
    if (caller?.aborted) this.stop();
    else caller?.addEventListener("abort", this.stop, { once: true });
  }
  get signal(): AbortSignal { return this.own.signal; }

  /** Gives it so many seconds from now; 0 takes the clock away. */
  within(seconds: number): void {
    clearTimeout(this.timer);
    if (seconds > 0) this.timer = setTimeout(() => this.own.abort(new Error("no answer in time")), Math.min(seconds, longestClock) * 1000);
  }
  end(): void {
    clearTimeout(this.timer);
    this.caller?.removeEventListener("abort", this.stop);
  }

  /** The error of a call without a whole answer; the signal's reason where that ended it. */
  failure(what: string, cause: unknown): unknown {
    if (this.caller?.aborted) return this.caller.reason;
    return new TakoError("unreachable", `${what}: ${reason(cause)}`, { cause });
  }
}

function reason(e: unknown): string {
  const inner = e instanceof Error && e.cause instanceof Error ? e.cause : e;
  const code = (inner as { code?: string } | undefined)?.code;
  if (code === "UND_ERR_HEADERS_TIMEOUT") return "no answer in five minutes, and fetch waits no longer; submit() and wait() do";
  return inner instanceof Error ? inner.message || String(code) : String(e);
}

/** An answer that went well, with its body still to be read. */
export class Reply {
  constructor(private readonly response: Response, readonly url: string, readonly life: Life) {}
  get status(): number { return this.response.status; }
  header(name: string): string { return this.response.headers.get(name) ?? ""; }
  get type(): string { return this.header("Content-Type").split(";")[0].trim(); }

  /** Throws where the body is encoded in a way that fetch leaves as it is, or several times over. */
  async decoded(): Promise<this> {
    const encoding = this.header("Content-Encoding").trim().toLowerCase();
    if (encodings.includes(encoding)) return this;
    await this.close();
    throw this.malformed(`it is encoded as ${JSON.stringify(encoding)}, which was not asked for`);
  }

  /** Reads bit by bit. With silence, there may be so many seconds between two bits; else the clock of the call goes on. */
  async *chunks(silence?: number): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = this.response.body?.getReader();
    try {
      while (reader) {
        if (silence !== undefined) this.life.within(silence);
        const next = await reader.read().catch((e: unknown) => { throw this.life.failure(`the answer of ${this.url} broke off`, e); });
        if (next.done) return;
        if (silence !== undefined) this.life.within(0); // the reader may take its time
        yield next.value;
      }
    } finally {
      this.life.end();
      await reader?.cancel().catch(() => {}); // it has failed already
    }
  }

  /** Reads all of it. */
  async bytes(silence?: number): Promise<Uint8Array> {
    const all: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.chunks(silence)) {
      if ((size += chunk.length) > maxAnswer) throw this.malformed(`it is longer than ${maxAnswer / 2 ** 20} MiB`);
      all.push(chunk);
    }
    return join(all);
  }

  async json(): Promise<unknown> {
    const text = new TextDecoder().decode(await this.bytes());
    let value: unknown;
    try { value = JSON.parse(text); } catch { value = null; }
    if (value === null) throw this.malformed(`it is ${text.trim() ? this.type || "of no type" : "empty"} and not the JSON that was expected`);
    return value;
  }

  /** Ends reading. */
  async close(): Promise<void> {
    this.life.end();
    await this.response.body?.cancel().catch(() => {}); // it is being read, and ends there
  }

  /** The error of an answer that makes no sense. */
  malformed(what: string): TakoError {
    return new TakoError("malformed", `${this.url} does not answer as a Tako server: ${what}`,
      { status: this.status, correlationId: this.header("X-Correlation-ID") });
  }

  /** What an error says of itself, if it does so in its first MiB. */
  private async said(): Promise<{ detail?: unknown; correlation_id?: unknown }> {
    const all: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const chunk of this.chunks()) {
        all.push(chunk);
        if ((size += chunk.length) > maxErrorAnswer) break;
      }
      return (JSON.parse(new TextDecoder().decode(join(all))) as object | null) ?? {};
    } catch {
      this.life.caller?.throwIfAborted();
      return {};
    }
  }

  /** The error of an answer that is none of success. */
  async failure(): Promise<TakoError> {
    const to = this.header("Location");
    const facts = { status: this.status, correlationId: this.header("X-Correlation-ID"), retryAfter: retryAfter(this.header("Retry-After")) };
    if (this.response.type === "opaqueredirect" || to && this.status < 400) {
      await this.close();
      return new TakoError("malformed", `${this.url} redirects to ${to || "another place"}: use that URL`, facts);
    }
    const { detail, correlation_id } = await this.said();
    if (typeof correlation_id === "string" && correlation_id) facts.correlationId = correlation_id;
    if (!correlation_id && (this.status === 404 && detail === "Not Found" || this.status === 405 && detail === "Method Not Allowed")) {
      return new TakoError("unsupported", `${detail}: ${this.url} does not know this call; it may be of another version`, facts);
    }
    const kind = kindOf(this.status);
    if (typeof detail === "string" && detail) return new TakoError(kind, detail, facts);
    const problems = Array.isArray(detail) ? detail.filter(isProblem) : [];
    if (problems.length > 0) return new TakoError(kind, problems.map((p) => `${p.loc.join(".")}: ${p.msg}`).join("; "), { ...facts, problems });
    return new TakoError(kind, `${this.url} answers with ${this.status} and no reason that a Tako server gives`, facts);
  }
}

function isProblem(p: unknown): p is Problem {
  return typeof p === "object" && p !== null && isLoc((p as Problem).loc) && typeof (p as Problem).msg === "string";
}

function isLoc(loc: unknown): loc is Problem["loc"] {
  return Array.isArray(loc) && loc.every((at) => typeof at === "string" || typeof at === "number");
}

/** The header, seconds or a date, in seconds. */
function retryAfter(text: string): number {
  const date = /^[a-z]{3,9},? /i.test(text) ? (Date.parse(text) - Date.now()) / 1000 : 0;
  const seconds = /^\d+$/.test(text) ? Number(text) : date;
  return seconds > 0 ? Math.min(seconds, longestAway) : 0;
}

function join(chunks: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((size, c) => size + c.length, 0));
  let at = 0;
  for (const c of chunks) { all.set(c, at); at += c.length; }
  return all;
}
