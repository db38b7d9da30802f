import type { Build, JobType, JobTypeRemoved, JobTypeVersion, Lock, Page, Submitted } from "./answers.js";
import { build, follow, type BuildEvent, type BuildOptions } from "./builds.js";
import { invalid } from "./error.js";
import { get, post, put, remove, type CallOptions, type Http } from "./http.js";
import type {
  CreatedKey, DLQStats, DeadLetter, DeadLetterRemoved, Delivery, Health, Key, KeyRemoved, PoolStats, Readiness, Secret, SecretRemoved,
} from "./operate.js";
import { path } from "./path.js";
import type { DeliveryFilter, DlqFilter, JobTypeRequest, KeyRequest } from "./requests.js";

/** Job types, keys, secrets and the server itself. */
export abstract class AdminCalls {
  protected constructor(protected readonly http: Http) {}

  /** All job types. */
  async jobTypes(o?: CallOptions): Promise<JobType[]> { return this.http.list(get("/job-types"), o); }
  /** A job type. */
  async jobType(name: string, o?: CallOptions): Promise<JobType> { return this.http.object(get(path`/job-types/${name}`), o); }
  /** Makes a job type. "conflict" where there is one. */
  async createJobType(name: string, r: JobTypeRequest = {}, o?: CallOptions): Promise<JobType> {
    return this.http.object(post(path`/job-types/${name}`, r), o);
  }
  /** Makes or replaces a job type. */
  async replaceJobType(name: string, r: JobTypeRequest = {}, o?: CallOptions): Promise<JobType> {
    return this.http.object(put(path`/job-types/${name}`, r), o);
  }
  /** Removes a job type. */
  async deleteJobType(name: string, o?: CallOptions): Promise<JobTypeRemoved> {
    return this.http.object(remove(path`/job-types/${name}`), o);
  }
  /** Builds a job type and waits for it. A build of more than five minutes needs followBuild(), as fetch waits no longer. */
  async buildJobType(name: string, o: BuildOptions = {}): Promise<Build> { return build(this.http, name, o); }
  /** Builds a job type and answers what the build says, as it does, and at last what it made. */
  followBuild(name: string, o: BuildOptions = {}): AsyncGenerator<BuildEvent, void, undefined> { return follow(this.http, name, o); }
  /** The builds of a job type, newest first. */
  async jobTypeVersions(name: string, o?: CallOptions): Promise<JobTypeVersion[]> {
    return this.http.list(get(path`/job-types/${name}/versions`), o);
  }
  /** What a build said. */
  async buildLog(name: string, buildId: string, o?: CallOptions): Promise<string> {
    return this.http.text(get(path`/job-types/${name}/builds/${buildId}/log`), o);
  }
  /** What exactly a build installed. */
  async buildLock(name: string, buildId: string, o?: CallOptions): Promise<Lock> {
    return this.http.object(get(path`/job-types/${name}/builds/${buildId}/lock`), o);
  }

  /** The stored API keys, without the keys. */
  async keys(o?: CallOptions): Promise<Key[]> { return this.http.list(get("/keys"), o); }
  /** Makes an API key. It is answered this once. */
  async createKey(r: KeyRequest, o?: CallOptions): Promise<CreatedKey> { return this.http.object(post("/keys", r), o); }
  /** Removes an API key. */
  async deleteKey(id: string, o?: CallOptions): Promise<KeyRemoved> { return this.http.object(remove(path`/keys/${id}`), o); }

  /** The stored secrets, without their values. */
  async secrets(o?: CallOptions): Promise<Secret[]> { return this.http.list(get("/secrets"), o); }
  /** Stores a secret that job types may bind, or changes it. */
  async setSecret(name: string, value: string, o?: CallOptions): Promise<Secret> {
    return this.http.object({ ...put(path`/secrets/${name}`, { value }), repeat: true }, o);
  }
  /** Removes a secret. Jobs that need it fail from then on. */
  async deleteSecret(name: string, o?: CallOptions): Promise<SecretRemoved> { return this.http.object(remove(path`/secrets/${name}`), o); }

  /** A page of dead letters, newest first. */
  async dlq(f: DlqFilter = {}, o?: CallOptions): Promise<Page<DeadLetter>> { return this.http.page(get("/dlq", { ...f }), o); }
  /** Counts of dead letters. */
  async dlqStats(o?: CallOptions): Promise<DLQStats> { return this.http.object(get("/dlq/stats"), o); }
  /** Removes a dead letter. */
  async deleteDlq(id: number, o?: CallOptions): Promise<DeadLetterRemoved> { return this.http.object(remove(letter(id)), o); }
  /** Submits the job of a dead letter again and removes the letter. */
  async replayDlq(id: number, o?: CallOptions): Promise<Submitted> {
    return this.http.object<Submitted>(post(`${letter(id)}/replay`), o, "job_id");
  }

  /** A page of webhooks, newest first. */
  async deliveries(f: DeliveryFilter = {}, o?: CallOptions): Promise<Page<Delivery>> { return this.http.page(get("/deliveries", { ...f }), o); }
  /** How the server is. It is asked once: "unavailable" is a server that starts or stops. */
  async health(o?: CallOptions): Promise<Health> { return this.http.object<Health>({ ...get("/health"), repeat: false }, o, "status"); }
  /** Answers where the server takes work; "unavailable" otherwise. It is asked once. */
  async ready(o?: CallOptions): Promise<Readiness> { return this.http.object<Readiness>({ ...get("/ready"), repeat: false }, o, "status"); }
  /** What runs and waits. */
  async pool(o?: CallOptions): Promise<PoolStats> { return this.http.object(get("/pool/stats"), o); }
  /** The server's metrics, as Prometheus reads them. */
  async metrics(o?: CallOptions): Promise<string> { return this.http.text(get("/metrics"), o); }
}

function letter(id: number): string {
  if (!Number.isSafeInteger(id)) throw invalid(`${typeof id === "number" ? id : `what is no number (${typeof id})`} is no number of a dead letter`);
  return `/dlq/${id}`;
}
