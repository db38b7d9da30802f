import { TakoError, kindOf, type Problem } from "./error.js";

export interface Options {
  apiKey?: string;
  /** Bounds calls that the server answers at once: 30,000 ms by default. */
  timeoutMs?: number;
  /** How often a call that may be repeated is repeated at most: 3 by default. */
  retries?: number;
  /** Sent with every call, to find it in the server's log. */
  correlationId?: string;
  fetch?: typeof fetch;
}
export interface CallOptions { signal?: AbortSignal }
export interface ExecuteRequest {
  code: string; input_data?: unknown; timeout?: number; job_type?: string; idempotency_key?: string;
  language?: string; args?: string[]; env?: Record<string, string>; stdin?: string;
  labels?: Record<string, string>; [more: string]: unknown;
}
export interface ExecuteResponse { success: boolean; output: unknown; stdout: string; stderr: string; [more: string]: unknown }
export interface Submitted { job_id: string; status: string; [more: string]: unknown }
export interface JobStatus { job_id: string; status: string; [more: string]: unknown }
export type Answer = Record<string, unknown>;

interface Call { method: string; path: string; query?: Record<string, string>; body?: unknown; repeat?: boolean; withinMs?: number }

const longestPauseMs = 30_000;

/** Talks to one server. */
export class Client {
  readonly url: string;
  constructor(url: string, private readonly options: Options = {}) {
    let base: URL;
    try { base = new URL(url); } catch { throw new TypeError("the server's URL is not a URL"); }
    if (!["http:", "https:"].includes(base.protocol) || base.search || base.hash || base.username || base.password) {
      throw new TypeError("the server's URL does not look like http://localhost:8000");
    }
    this.url = base.href.replace(/\/+$/, "");
  }

  /** Runs code and waits for its end; only the signal bounds it. */
  execute(r: ExecuteRequest, o?: CallOptions) {
    return this.json<ExecuteResponse>({ method: "POST", path: "/execute", body: r, repeat: !!r.idempotency_key, withinMs: 0 }, o);
  }
  /** Puts a job into the queue. */
  submit(r: ExecuteRequest, o?: CallOptions) {
    return this.json<Submitted>({ method: "POST", path: "/execute/async", body: r, repeat: !!r.idempotency_key }, o);
  }
  async status(id: string, o?: CallOptions) { return this.json<JobStatus>(get(`/jobs/${part(id)}`), o); }
  /** A job's record as it is now. */
  async result(id: string, o?: CallOptions) { return this.json<Answer>(get(`/jobs/${part(id)}/result`, { view: "full" }), o); }
  async cancel(id: string, o?: CallOptions) { return this.json<Answer>({ method: "POST", path: `/jobs/${part(id)}/cancel` }, o); }
  async execution(id: string, o?: CallOptions) { return this.json<Answer>(get(`/executions/${part(id)}`, { view: "full" }), o); }
  async artifacts(id: string, o?: CallOptions) { return this.json<Answer>(get(`/jobs/${part(id)}/artifacts`), o); }
  health(o?: CallOptions) { return this.json<Answer>({ method: "GET", path: "/health" }, o); }
  pool(o?: CallOptions) { return this.json<Answer>(get("/pool/stats"), o); }

  private async json<T>(q: Call, o: CallOptions = {}): Promise<T> {
    for (let n = 0; ; n++) {
      try { return await this.once<T>(q, o.signal); } catch (e) {
        if (!(e instanceof TakoError) || !e.temporary || !q.repeat || n >= (this.options.retries ?? 3)) throw e;
        const wait = e.retryAfterMs || Math.min(100 * 2 ** n, 5000) * (0.75 + Math.random() / 2);
        if (wait > longestPauseMs) throw e;
        await sleep(wait, o.signal);
      }
    }
  }

  private async once<T>(q: Call, signal?: AbortSignal): Promise<T> {
    const headers: Record<string, string> = { "User-Agent": "tako-typescript" };
    if (this.options.apiKey) headers.Authorization = `Bearer ${this.options.apiKey}`;
    if (this.options.correlationId) headers["X-Correlation-ID"] = this.options.correlationId;
    if (q.body !== undefined) headers["Content-Type"] = "application/json";
    const within = q.withinMs ?? this.options.timeoutMs ?? 30_000;
    const signals = [signal, within > 0 ? AbortSignal.timeout(within) : undefined].filter((s) => s !== undefined);
    const address = this.url + q.path + (q.query ? `?${new URLSearchParams(q.query)}` : "");
    let answer: Response, text: string;
    try {
      answer = await (this.options.fetch ?? fetch)(address, {
        method: q.method, headers, redirect: "manual", signal: AbortSignal.any(signals),
        body: q.body === undefined ? undefined : JSON.stringify(q.body),
      });
      text = await answer.text();
    } catch (cause) {
      signal?.throwIfAborted();
      throw new TakoError("unreachable", `${this.url} cannot be reached: ${reason(cause)}`, { cause });
    }
    if (!answer.ok) throw failure(address, answer, text);
    let value: unknown;
    try { value = JSON.parse(text); } catch { value = null; }
    if (value === null) {
      throw new TakoError("malformed", `${address} does not answer as a Tako server: it is not the JSON that was expected`,
        { status: answer.status, correlationId: answer.headers.get("X-Correlation-ID") ?? "" });
    }
    return value as T;
  }
}

function get(path: string, query?: Record<string, string>): Call { return { method: "GET", path, query, repeat: true }; }

/** Puts an id or name into a path, as one part of it. */
function part(id: string): string {
  if (/^\.*$/.test(id)) throw new TakoError("invalid", `${JSON.stringify(id)} is no id and no name`);
  return encodeURIComponent(id);
}

function reason(e: unknown): string {
  if (e instanceof Error && e.cause instanceof Error) return e.cause.message || String((e.cause as { code?: string }).code);
  return e instanceof Error ? e.message : String(e);
}

function failure(address: string, answer: Response, text: string): TakoError {
  let known: { detail?: unknown; correlation_id?: string } = {};
  try { known = JSON.parse(text) ?? {}; } catch { /* another server's */ }
  const after = answer.headers.get("Retry-After") ?? "";
  const ms = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.now();
  const facts = {
    status: answer.status, retryAfterMs: ms > 0 ? ms : 0, problems: [] as Problem[],
    correlationId: known.correlation_id || answer.headers.get("X-Correlation-ID") || "",
  };
  let detail: string;
  const to = answer.headers.get("Location");
  if (to && answer.status < 400) detail = `${address} redirects to ${to}: use that URL`;
  else if (typeof known.detail === "string") detail = known.detail;
  else if (Array.isArray(known.detail) && known.detail.length > 0) {
    facts.problems = known.detail as Problem[];
    detail = facts.problems.map((p) => `${p.loc.join(".")}: ${p.msg}`).join("; ");
  } else detail = `${address} answers with ${answer.status} and no reason that a Tako server gives`;
  return new TakoError(kindOf(answer.status), detail, facts);
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const stop = () => { clearTimeout(t); fail(signal?.reason); };
    const t = setTimeout(() => { signal?.removeEventListener("abort", stop); done(); }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
