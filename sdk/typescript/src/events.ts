import type { EventType, JobStatus, Status } from "./answers.js";
import { TakoError } from "./error.js";
import { get, held, holds, type CallOptions, type Http } from "./http.js";
import { path } from "./path.js";
import { Patience, now } from "./pause.js";
import type { Reply } from "./reply.js";
import { frames, type Frame } from "./sse.js";

export interface EventsOptions extends CallOptions {
  /** The id of an event: those after it are answered. All by default. */
  after?: string;
  /** false ends at the last event that is stored by now. */
  follow?: boolean;
  /** How many seconds the server may be away: 120 by default. */
  patience?: number;
}

const silence = 60; // seconds after which a stream counts as cut: the server says something every 15
const lived = 5; // seconds after which a connection counts as a success: a job may have nothing to say for long

/** What a job did or said. */
export class JobEvent {
  constructor(
    /** Where to go on after this event, see EventsOptions.after. */
    readonly id: string,
    readonly type: EventType,
    /** All that the server sent. */
    readonly data: Record<string, unknown>,
  ) {}
  /** When it happened, as RFC 3339 has it, with nanoseconds. */
  get ts(): string { return typeof this.data.ts === "string" ? this.data.ts : ""; }
  /** Counts from 0. */
  get attempt(): number { return typeof this.data.attempt === "number" ? this.data.attempt : 0; }
  /** Where the job stands, of "status" and "end". */
  get status(): Status | undefined { return this.data.status as Status | undefined; }

  /** What the program wrote, of "stdout" and "stderr"; bytes that are no text are U+FFFD. */
  get text(): string { return typeof this.data.text === "string" ? this.data.text : new TextDecoder().decode(this.bytes); }
  /** The same as it was written. */
  get bytes(): Uint8Array {
    if (typeof this.data.text === "string") return new TextEncoder().encode(this.data.text);
    try {
      return Uint8Array.from(atob(typeof this.data.b64 === "string" ? this.data.b64 : ""), (c) => c.charCodeAt(0));
    } catch { throw new TakoError("malformed", "of the job's events there is output that is not base64"); }
  }
}

/** A job's events: what is stored, then what happens, to its end, over as many connections as it takes. */
export async function* events(http: Http, id: string, o: EventsOptions): AsyncGenerator<JobEvent, void, undefined> {
  const f = new Follower(http, id, o);
  while (!f.done) {
    try { yield* f.connection(); } catch (e) {
      await f.failed(e);
      continue;
    }
    if (!f.done) await f.next();
  }
}

/** Reads a job's events over as many connections as it takes. */
class Follower {
  done = false;
  private readonly path: string;
  private readonly patience: Patience;
  private after: string;
  private opened = false; // a connection was had
  private news = false; // the last connection had events
  private ended = false; // the job had, before the last connection
  constructor(private readonly http: Http, private readonly id: string, private readonly o: EventsOptions) {
    this.path = path`/jobs/${id}/events`;
    this.patience = new Patience(o.patience ?? 120);
    this.after = o.after ?? "";
  }

  /** Reads one stream, to its end or to the job's. */
  async *connection(): AsyncGenerator<JobEvent, void, undefined> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.after) headers["Last-Event-ID"] = held("id of the event", this.after);
    this.news = false;
    const reply = await this.http.open({ ...get(this.path, this.o.follow === false ? { follow: false } : {}), headers }, this.o);
    this.opened = true;
    const since = now();
    try {
      for await (const frame of stream(reply, this.after)) {
        const e = event(frame, reply);
        this.after = e.id;
        this.news = true;
        this.patience.renew();
        this.done = e.type === "end";
        yield e;
        if (this.done) return;
      }
    } finally {
      if (now() - since > lived) this.patience.renew();
    }
  }

  /** Goes on after an error, or throws it. */
  async failed(e: unknown): Promise<void> {
    if (!(e instanceof TakoError) || !this.opened || !e.temporary) throw e;
    await this.patience.pause(e, this.o.signal);
  }

  /** Says what comes after a stream that ended in order but without the end event: the server stops, or there is nothing
   * after the event to begin with. */
  async next(): Promise<void> {
    if (this.o.follow === false || this.ended && !this.news) {
      this.done = true;
      return;
    }
    try {
      const at = await this.http.object<JobStatus>(get(path`/jobs/${this.id}`), this.o, "status");
      this.ended = !["queued", "pending", "running"].includes(at.status);
    } catch (e) { return this.failed(e); }
    if (!this.ended) await this.failed(new TakoError("unreachable", "the server ends the stream of events again and again"));
  }
}

/** The frames of an answer that is a stream of events. */
export async function* stream(reply: Reply, after = ""): AsyncGenerator<Frame, void, undefined> {
  if (reply.type !== "text/event-stream") {
    await reply.close();
    throw reply.malformed(`its events are ${reply.type || "of no type"}`);
  }
  yield* frames(reply.chunks(silence), after);
}

/** The data of a frame. */
export function dataOf(frame: Frame, reply: Reply): Record<string, unknown> {
  let data: unknown;
  try { data = JSON.parse(frame.data); } catch { /* it is told below */ }
  if (typeof data === "object" && data !== null && !Array.isArray(data)) return data as Record<string, unknown>;
  throw reply.malformed("there is an event that is not understood");
}

function event(frame: Frame, reply: Reply): JobEvent {
  if (!holds(frame.id)) throw reply.malformed("there is an event whose id no header can have");
  return new JobEvent(frame.id, frame.name as EventType, dataOf(frame, reply));
}
