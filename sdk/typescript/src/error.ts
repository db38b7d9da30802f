/** Kinds of errors; they are those of the Go client. */
export type ErrorKind =
  | "unreachable" | "malformed" | "invalid" | "unauthorized" | "forbidden" | "not_found"
  | "timeout" | "conflict" | "rate_limited" | "unavailable" | "server";

/** One thing that is wrong with a request (422). */
export interface Problem { type: string; loc: (string | number)[]; msg: string }

export interface ErrorFacts {
  status?: number; correlationId?: string; problems?: Problem[]; retryAfterMs?: number; cause?: unknown;
}

/** Why a call failed. The message is one line, mostly the server's own. */
export class TakoError extends Error {
  override readonly name = "TakoError";
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** Finds the call in the server's log; empty without an answer. */
  readonly correlationId: string;
  readonly problems: Problem[];
  /** How long the server wants to be left alone, in milliseconds; 0 where it does not say. */
  readonly retryAfterMs: number;
  constructor(readonly kind: ErrorKind, message: string, f: ErrorFacts = {}) {
    super(message, f.cause === undefined ? undefined : { cause: f.cause });
    this.status = f.status ?? 0;
    this.correlationId = f.correlationId ?? "";
    this.problems = f.problems ?? [];
    this.retryAfterMs = f.retryAfterMs ?? 0;
  }
  /** Whether it may be over when the call is repeated. */
  get temporary(): boolean { return ["unreachable", "unavailable", "rate_limited"].includes(this.kind); }
}

export function kindOf(status: number): ErrorKind {
  switch (status) {
    case 400: case 413: case 415: case 422: return "invalid";
    case 401: return "unauthorized";
    case 403: return "forbidden";
    case 404: return "not_found";
    case 408: return "timeout";
    case 409: return "conflict";
    case 429: return "rate_limited";
    case 502: case 503: case 504: return "unavailable";
  }
  return status >= 500 ? "server" : "malformed";
}
