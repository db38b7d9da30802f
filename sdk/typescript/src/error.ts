/** Kinds of errors; they are those of the Go client. */
export type ErrorKind =
  | "unreachable" | "malformed" | "invalid" | "unauthorized" | "forbidden" | "not_found"
  | "timeout" | "conflict" | "rate_limited" | "unavailable" | "server" | "unsupported";

/** One thing that is wrong with a request (422). */
export interface Problem { type: string; loc: (string | number)[]; msg: string }

export interface ErrorFacts {
  status?: number; correlationId?: string; problems?: Problem[]; retryAfter?: number; cause?: unknown;
}

/** Why a call failed. The message is one line, mostly the server's own. */
export class TakoError extends Error {
  override readonly name: string = "TakoError";
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** Finds the call in the server's log; empty without an answer. */
  readonly correlationId: string;
  readonly problems: Problem[];
  /** How many seconds the server wants to be left alone; 0 where it does not say. */
  readonly retryAfter: number;
  constructor(readonly kind: ErrorKind, message: string, f: ErrorFacts = {}) {
    super(message, f.cause === undefined ? undefined : { cause: f.cause });
    this.status = f.status ?? 0;
    this.correlationId = f.correlationId ?? "";
    this.problems = f.problems ?? [];
    this.retryAfter = f.retryAfter ?? 0;
  }
  /** The message, by the name that answers have for it. */
  get detail(): string { return this.message; }
  /** Whether it may be over when the call is repeated. */
  get temporary(): boolean { return ["unreachable", "unavailable", "rate_limited"].includes(this.kind); }
}

/** A name would lead out of the folder that files are written to. */
export class UnsafePathError extends TakoError {
  override readonly name = "UnsafePathError";
  constructor(message: string) { super("invalid", message); }
}

/** A webhook is not to be believed. */
export class WebhookError extends TakoError {
  override readonly name = "WebhookError";
  /** "stale" where the signature is good and only its time is not. */
  constructor(readonly reason: "signature" | "stale" | "body", message: string) { super("invalid", message); }
}

/** Refuses what need not be sent. */
export function invalid(message: string): TakoError { return new TakoError("invalid", message); }

/** A number that is none below zero. With NaN, for instance, no bound would hold. */
export function amount(what: string, n: number): number {
  if (typeof n !== "number" || !(n >= 0)) throw invalid(`${what} must be a number that is not negative`);
  return n;
}

/** Whether a text holds half a character, which no UTF-8 has: it would be sent as another text. */
export function halved(text: string): boolean { return /[\ud800-\udfff]/u.test(text); }

export function kindOf(status: number): ErrorKind {
  switch (status) {
    case 400: case 412: case 413: case 415: case 416: case 422: return "invalid";
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
