import { TakoError, amount, halved, invalid } from "./error.js";
import { queryOf, type Query } from "./path.js";
import { sleep } from "./pause.js";
import { Life, Reply } from "./reply.js";

export interface Options {
  apiKey?: string;
  /** Bounds calls that the server answers at once, in seconds: 30 by default, nothing when 0. */
  timeout?: number;
  /** How often a call that may be repeated is repeated at most: 3 by default. */
  retries?: number;
  /** Sent with every call, to find it in the server's log and in records. */
  correlationId?: string;
  /** Makes the calls instead of the platform's own. */
  fetch?: typeof fetch;
}

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, which then throws the signal's reason. */
  signal?: AbortSignal;
  /** In the place of the client's. */
  correlationId?: string;
}

export type Body = string | FormData | ReadableStream<Uint8Array>;

/** One operation of the API. */
export interface Call {
  method: string;
  path: string; // escaped
  query?: Query;
  headers?: Record<string, string>;
  body?: unknown; // sent as JSON
  /** A body of another type, made anew for each try. */
  content?: () => { body: Body; type?: string };
  repeat?: boolean; // it may be sent again
  tries?: number; // in all, where that is less than the client's
  within?: number; // seconds; the client's where it is not said, 0 is no bound
}

const longestPause = 30; // seconds; a server that wants a longer one is obeyed by not asking again

export function get(path: string, query?: Query): Call { return { method: "GET", path, query, repeat: true }; }
export function post(path: string, body?: unknown): Call { return { method: "POST", path, body }; }
export function put(path: string, body?: unknown): Call { return { method: "PUT", path, body }; }
export function remove(path: string): Call { return { method: "DELETE", path }; }

/** Makes calls. */
export class Http {
  readonly url: string;
  readonly timeout: number;
  private readonly retries: number;
  private readonly fetch: typeof fetch;
  readonly #headers: Record<string, string>; // the key is among them, and not to be seen where a client is logged
  constructor(url: string, o: Options) {
    this.url = base(url);
    this.timeout = amount("timeout", o.timeout ?? 30);
    this.retries = amount("retries", o.retries ?? 3);
    this.fetch = o.fetch ?? ((...args) => fetch(...args));
    this.#headers = { "User-Agent": "tako-typescript", "Accept-Encoding": "gzip, deflate" };
    const key = o.apiKey?.trim();
    if (key) this.#headers.Authorization = `Bearer ${held("API key", key)}`;
    if (o.correlationId) this.#headers["X-Correlation-ID"] = held("correlation id", o.correlationId);
  }

  /** Makes a call and answers the JSON object that it gets. What must be there is a text that is not empty. */
  async object<T>(q: Call, o: CallOptions = {}, ...must: (keyof T & string)[]): Promise<T> {
    return this.read(q, o, (value) => {
      if (!isObject(value)) return "it is no JSON object";
      const lacks = must.find((name) => typeof value[name] !== "string" || !value[name]);
      return lacks && `it has no ${lacks}`;
    });
  }

  /** The same for an object whose items are a list of objects. */
  async page<T extends { items: unknown[] }>(q: Call, o: CallOptions = {}): Promise<T> {
    return this.read(q, o, (value) => isObject(value) && isList(value.items) ? "" : "it has no list of items");
  }

  /** The same for a list of objects. */
  async list<T>(q: Call, o: CallOptions = {}): Promise<T[]> {
    return this.read(q, o, (value) => isList(value) ? "" : "it is no list of objects");
  }

  /** Makes a call and answers the JSON that it gets, if nothing is wrong with it. */
  private read<T>(q: Call, o: CallOptions, wrong: (value: unknown) => string | undefined): Promise<T> {
    return this.repeated(q, o, async () => {
      const reply = await this.send(q, o), value = await reply.json(), what = wrong(value);
      if (what) throw reply.malformed(what);
      return value as T;
    });
  }

  /** The same for an answer that is text. */
  async text(q: Call, o: CallOptions = {}): Promise<string> {
    return this.repeated(q, o, async () => new TextDecoder().decode(await (await this.send(q, o)).bytes()));
  }

  /** Makes a call whose answer is read by the caller, for as long as that takes. */
  async open(q: Call, o: CallOptions = {}): Promise<Reply> {
    const reply = await this.repeated(q, o, () => this.send(q, o));
    reply.life.within(0);
    return reply;
  }

  /** Does what may be repeated as often as it may: after 0.5, 1 and 2 s, or when the server says. */
  private async repeated<T>(q: Call, o: CallOptions, once: () => Promise<T>): Promise<T> {
    const most = q.repeat ? Math.min(this.retries, (q.tries ?? Infinity) - 1) : 0;
    for (let n = 0; ; n++) {
      try { return await once(); } catch (e) {
        if (!(e instanceof TakoError) || !e.temporary || n >= most) throw e;
        const wait = e.retryAfter || 0.5 * 2 ** n;
        if (wait > longestPause) throw e;
        await sleep(wait, o.signal);
      }
    }
  }

  private async send(q: Call, o: CallOptions): Promise<Reply> {
    const headers: Record<string, string> = { ...this.#headers, ...q.headers };
    if (o.correlationId) headers["X-Correlation-ID"] = held("correlation id", o.correlationId);
    const { body, type } = q.content?.() ?? (q.body === undefined ? {} : { body: json(q.body), type: "application/json" });
    if (type) headers["Content-Type"] = type;
    const url = this.url + q.path + queryOf(q.query), life = new Life(o.signal);
    life.within(q.within ?? this.timeout);
    // Redirects are not followed: they would lose the body or take the key elsewhere.
    const init = { method: q.method, headers, body, redirect: "manual", signal: life.signal, duplex: "half" } as RequestInit;
    let answer: Response;
    try { answer = await this.fetch(url, init); } catch (e) {
      life.end();
      throw life.failure(`${this.url} cannot be reached`, e);
    }
    const reply = new Reply(answer, url, life);
    if (answer.ok) return reply.decoded();
    throw await reply.failure();
  }
}

/** The text of a value as JSON. What JSON would leave out silently is refused. */
export function json(value: unknown): string {
  try {
    return JSON.stringify(value, (name, v: unknown) => {
      if (halved(name) || typeof v === "string" && halved(v)) throw new Error(`${JSON.stringify(name)} holds half a character`);
      if (typeof v === "number" && !Number.isFinite(v)) throw new Error(`${name || "the value"} is ${v}`);
      return v;
    });
  } catch (e) { throw invalid(`the request cannot be written as JSON: ${(e as Error).message.split("\n")[0]}`); }
}

/** A value that a header can have. The error does not name it: it may be the key. */
export function held(what: string, value: string): string {
  if (!holds(value)) throw invalid(`the ${what} holds control characters, or others that no header can have`);
  return value;
}

export function holds(value: string): boolean { return !/[^\x20-\x7e]/.test(value); }

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: unknown): boolean { return Array.isArray(value) && value.every(isObject); }

function base(text: string): string {
  let url: URL;
  try { url = new URL(text); } catch { throw invalid("the server's URL is not a URL"); } // it is not shown: there may be a password in it
  if (!/^https?:[^?#]*$/.test(url.href)) throw invalid("the server's URL does not look like http://localhost:8000");
  if (url.username || url.password) throw invalid("the server's URL holds a name or a password, which fetch does not send: use apiKey");
  return url.href.replace(/\/+$/, "");
}
