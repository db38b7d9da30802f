import type { Batch, ExecutionRecord, FullRecord, Page } from "./answers.js";
import { TakoError, amount } from "./error.js";
import { get, type CallOptions, type Http } from "./http.js";
import { path } from "./path.js";
import { Patience, now, sleep } from "./pause.js";
import type { FullView, PageOptions } from "./requests.js";

export interface WaitOptions extends CallOptions {
  /** How many seconds to wait at most: as long as it takes by default. */
  timeout?: number;
}

const longestWait = 240; // seconds in one call; the server waits 300, and so does fetch
const patienceForRestarts = 120;
const oneTry = 1; // of a call in a wait, whose patience repeats it and knows when to end
const page = 100;

/** A job's record, after a wait of so many seconds for its end. */
export async function result(http: Http, id: string, wait: number, o: CallOptions, tries?: number): Promise<FullRecord> {
  const where = path`/jobs/${id}/result`;
  if (amount("wait", wait) === 0) return http.object<FullRecord>(get(where, { view: "full" }), o);
  for (const until = now() + wait; ;) {
    const part = Math.min(Math.max(until - now(), 1), longestWait); // a second is the least that the server waits
    const q = get(where, { view: "full", wait: true, timeout: Number(part.toFixed(3)) });
    try {
      return await http.object<FullRecord>({ ...q, tries, within: http.timeout > 0 ? part + http.timeout : 0 }, o);
    } catch (e) {
      if (!is(e, "timeout") || now() >= until) throw e;
    }
  }
}

/** The same for as long as it takes, also over a restart of the server. */
export async function wait(http: Http, id: string, o: WaitOptions): Promise<FullRecord> {
  const until = now() + amount("timeout", o.timeout ?? Infinity), patience = new Patience(patienceForRestarts, until);
  for (;;) {
    const left = until - now();
    try { return await result(http, id, Math.min(Math.max(left, 1), longestWait), o, oneTry); } catch (e) {
      if (is(e, "timeout")) patience.renew();
      else await orPause(e, patience, o.signal);
      if (now() >= until) throw e;
    }
  }
}

/** Looks at a batch until it has ended. */
export async function waitBatch(http: Http, id: string, o: WaitOptions): Promise<Batch> {
  const until = now() + amount("timeout", o.timeout ?? Infinity), patience = new Patience(patienceForRestarts, until);
  for (let pause = 0.2; ; pause = Math.min(pause * 1.5, 2)) {
    try {
      const batch = await http.object<Batch>({ ...get(path`/batches/${id}`), tries: oneTry }, o, "status");
      if (batch.status !== "running") return batch;
      patience.renew();
    } catch (e) { await orPause(e, patience, o.signal); }
    if (now() + pause > until) throw new TakoError("timeout", `the batch ${id} has not ended in ${o.timeout} s`);
    await sleep(pause, o.signal);
  }
}

async function orPause(e: unknown, patience: Patience, signal?: AbortSignal): Promise<void> {
  if (!(e instanceof TakoError) || !e.temporary) throw e;
  await patience.pause(e, signal);
}

function is(e: unknown, kind: TakoError["kind"]): boolean { return e instanceof TakoError && e.kind === kind; }

export type ResultsOptions = PageOptions & CallOptions & Partial<FullView>;

export function batchResults(http: Http, id: string, o: ResultsOptions): Promise<Page<ExecutionRecord>> {
  return http.page(get(path`/batches/${id}/results`, { limit: o.limit, offset: o.offset, view: o.view }), o);
}

/** All records of a batch, in the order of its items. */
export async function* iterBatchResults(http: Http, id: string, o: ResultsOptions): AsyncGenerator<ExecutionRecord, void, undefined> {
  for (let offset = 0; ;) {
    const { items, has_more } = await batchResults(http, id, { ...o, limit: page, offset });
    yield* items;
    offset += items.length;
    if (!has_more || items.length === 0) return;
  }
}
