import { AdminCalls } from "./admin.js";
import type {
  ArtifactList, Batch, BatchSubmitted, Diff, Done, ExecuteResponse, ExecutionRecord, FullRecord, JobStatus, Lineage, Page, Submitted, Upload,
} from "./answers.js";
import { jobCall, uploadOf, withoutData, type Streamed } from "./body.js";
import { Download } from "./download.js";
import { TakoError } from "./error.js";
import { events, type EventsOptions, type JobEvent } from "./events.js";
import { Http, get, post, remove, type CallOptions, type Options } from "./http.js";
import { artifactPath, path } from "./path.js";
import type { BatchRequest, ExecuteRequest, ExecutionFilter, ForkRequest, FullView, PageOptions, RerunRequest } from "./requests.js";
import { batchResults, iterBatchResults, result, wait, waitBatch, type ResultsOptions, type WaitOptions } from "./waiting.js";

const submits = 3;

/** Talks to one server. Every method throws a TakoError where it fails, or the reason of the signal that ended it. */
export class Client extends AdminCalls {
  constructor(url = "http://localhost:8000", options: Options = {}) { super(new Http(url, options)); }

  /** A client of the server that TAKO_URL names, with the key of TAKO_API_KEY. */
  static fromEnv(options: Options = {}): Client {
    const env = globalThis.process?.env ?? {};
    return new Client(env.TAKO_URL || undefined, { apiKey: env.TAKO_API_KEY, ...options });
  }

  /** The server's address. */
  get url(): string { return this.http.url; }

  /** Runs code and waits for its end; only the signal bounds it, and the five minutes that fetch waits. Code that goes on when
   * the caller is gone is ended only with cancel_on_disconnect. */
  async execute(r: ExecuteRequest, o?: CallOptions): Promise<ExecuteResponse> {
    const reply = await this.http.object<ExecuteResponse>({ ...jobCall("/execute", r), repeat: !!r.idempotency_key, within: 0 }, o);
    if (typeof reply.success === "boolean") return reply;
    throw new TakoError("malformed", `${this.url}/execute does not answer as a Tako server: it does not say whether the code succeeded`);
  }

  /** Puts a job into the queue. It is tried three times with one idempotency key, which is made where there is none. */
  async submit(r: ExecuteRequest, o?: CallOptions): Promise<Submitted> {
    const keyed = { ...r, idempotency_key: r.idempotency_key || `sdk-${crypto.randomUUID()}` };
    return this.http.object<Submitted>({ ...jobCall("/execute/async", keyed), repeat: true, tries: submits }, o, "job_id");
  }

  /** Where a job stands. */
  async status(id: string, o?: CallOptions): Promise<JobStatus> { return this.http.object(get(path`/jobs/${id}`), o); }
  /** A job's record as it is now, or after a wait of so many seconds for its end; "timeout" where it goes on after that. */
  async result(id: string, o: CallOptions & { wait?: number } = {}): Promise<FullRecord> { return result(this.http, id, o.wait ?? 0, o); }
  /** Waits for a job's end, also over a restart of the server that takes up to two minutes, and answers its record. */
  async wait(id: string, o: WaitOptions = {}): Promise<FullRecord> { return wait(this.http, id, o); }
  /** What a job does and says: what is stored, and then what happens, to its end. It goes on over connections that break off. */
  events(id: string, o: EventsOptions = {}): AsyncGenerator<JobEvent, void, undefined> { return events(this.http, id, o); }
  /** Ends a job, whether it waits or runs. "not_found" for one that has ended already. */
  async cancel(id: string, o?: CallOptions): Promise<Done> { return this.http.object(post(path`/jobs/${id}/cancel`), o); }
  /** Removes a job that has ended: its record, events and files. */
  async deleteJob(id: string, o?: CallOptions): Promise<Done> { return this.http.object(remove(path`/jobs/${id}`), o); }
  /** Submits a job that has ended again. */
  async rerun(id: string, r: RerunRequest = {}, o?: CallOptions): Promise<Submitted> {
    return this.http.object<Submitted>(post(path`/jobs/${id}/rerun`, r), o, "job_id");
  }
  /** Submits other code with the input of a job that has ended. */
  async fork(id: string, r: ForkRequest, o?: CallOptions): Promise<Submitted> {
    return this.http.object<Submitted>(post(path`/jobs/${id}/fork`, r), o, "job_id");
  }

  /** A page of executions, newest first. */
  async executions(f: ExecutionFilter & FullView, o?: CallOptions): Promise<Page<FullRecord>>;
  async executions(f?: ExecutionFilter, o?: CallOptions): Promise<Page<ExecutionRecord>>;
  async executions(f: ExecutionFilter & Partial<FullView> = {}, o?: CallOptions): Promise<Page<ExecutionRecord>> {
    const { labels = {}, ...rest } = f;
    return this.http.page(get("/executions", { ...rest, label: Object.entries(labels).map(([k, v]) => `${k}:${v}`) }), o);
  }
  /** An execution. */
  async execution(id: string, o?: CallOptions): Promise<FullRecord> { return this.http.object(get(path`/executions/${id}`, { view: "full" }), o); }
  /** What an execution came from and what came of it. */
  async lineage(id: string, o?: CallOptions): Promise<Lineage> { return this.http.object(get(path`/executions/${id}/lineage`), o); }
  /** What two executions do not share. */
  async diff(id: string, other: string, o?: CallOptions): Promise<Diff> {
    return this.http.object(get(path`/executions/${id}/diff/${other}`), o);
  }

  /** The files that a job left. */
  async artifacts(id: string, o?: CallOptions): Promise<ArtifactList> { return this.http.page(get(path`/jobs/${id}/artifacts`), o); }
  /** Opens a file that a job left. */
  async artifact(id: string, name: string, o?: CallOptions): Promise<Download> {
    return new Download(await this.http.open(get(artifactPath(id, name)), o), name);
  }
  /** Opens all files that a job left, as one ZIP archive. */
  async artifactsZip(id: string, o?: CallOptions): Promise<Download> {
    return new Download(await this.http.open(get(path`/jobs/${id}/artifacts.zip`), o), "artifacts.zip");
  }
  /** Stores a file for a job that comes within a day, which names it by upload_id as InputFile.upload. */
  async upload(content: Streamed, o?: CallOptions): Promise<Upload> {
    return this.http.object<Upload>({ ...post("/uploads"), content: () => uploadOf(content), within: 0 }, o, "upload_id");
  }

  /** Submits up to 1,000 jobs, all or none. With an idempotency key it may be repeated. */
  async submitBatch(r: BatchRequest, o?: CallOptions): Promise<BatchSubmitted> {
    withoutData(r.items);
    return this.http.object<BatchSubmitted>({ ...post("/batches", r), repeat: !!r.idempotency_key }, o, "batch_id");
  }
  /** Where a batch stands. */
  async batch(id: string, o?: CallOptions): Promise<Batch> { return this.http.object(get(path`/batches/${id}`), o); }
  /** A page of a batch's records, in the order of its items. */
  async batchResults(id: string, o: PageOptions & CallOptions & FullView): Promise<Page<FullRecord>>;
  async batchResults(id: string, o?: PageOptions & CallOptions): Promise<Page<ExecutionRecord>>;
  async batchResults(id: string, o: ResultsOptions = {}): Promise<Page<ExecutionRecord>> { return batchResults(this.http, id, o); }
  /** All of them, page by page. */
  iterBatchResults(id: string, o: CallOptions & FullView): AsyncGenerator<FullRecord, void, undefined>;
  iterBatchResults(id: string, o?: CallOptions): AsyncGenerator<ExecutionRecord, void, undefined>;
  iterBatchResults(id: string, o: CallOptions & Partial<FullView> = {}): AsyncGenerator<ExecutionRecord, void, undefined> {
    return iterBatchResults(this.http, id, o);
  }
  /** Waits for a batch's end, also over a restart of the server; "timeout" where it goes on after that time. */
  async waitBatch(id: string, o: WaitOptions = {}): Promise<Batch> { return waitBatch(this.http, id, o); }
  /** Ends what is left of a batch. */
  async cancelBatch(id: string, o?: CallOptions): Promise<Batch> { return this.http.object(post(path`/batches/${id}/cancel`), o); }
}
