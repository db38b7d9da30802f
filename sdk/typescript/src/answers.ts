// What is answered: the schemas of /openapi.json, each with all of its fields. Times of day are RFC 3339.

export type Status = "queued" | "running" | "succeeded" | "failed" | "timeout" | "oom" | "cancelled";
export type Phase = "startup" | "execution" | "completed";
/** Who ended an attempt. */
export type Actor = "user_code" | "timeout" | "memory_limit" | "limit" | "cancel" | "operator" | "engine" | "host";
export type Relationship = "rerun" | "fork";
/** Where a sandbox came from. */
export type Supply = "pool" | "restore" | "cold";
/** What a job may reach: nothing, named hosts, or the internet without private addresses. */
export type NetworkMode = "none" | "allow" | "public";
/** "truncated": more was written than is kept. "end": nothing follows. */
export type EventType = "status" | "stdout" | "stderr" | "artifact" | "build" | "truncated" | "end";

/** What became of code that was waited for. */
export interface ExecuteResponse {
  success: boolean;
  /** /output/result.json. */
  output: unknown;
  /** Seconds. */
  execution_time: number;
  stdout: string;
  stderr: string;
  exit_code: number | null;
  error: string | null;
  job_type: string | null;
  execution_id: string | null;
  runtime: string | null;
}

/** A job that was accepted. */
export interface Submitted { job_id: string; status: Status }

/** Where a job stands; "pending" is one with a place in the queue. */
export interface JobStatus {
  job_id: string;
  status: Status | "pending";
  created_at: string | null;
  duration_ms: number | null;
  queue_position: number | null;
}

/** A job that was ended or removed. */
export interface Done { status: string; job_id: string }

/** A part of a list. */
export interface Page<T> { items: T[]; limit: number; offset: number; has_more: boolean; count: number }

/** An execution. */
export interface ExecutionRecord {
  execution_id: string;
  status: Status;
  job_type: string;
  job_version: string;
  created_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  exit_code: number | null;
  stdout: string;
  stderr: string;
  output: unknown;
  error: Failure | null;
  timing: Timing | null;
  runtime: string | null;
}

/** An execution with everything that is known of it. */
export interface FullRecord extends ExecutionRecord {
  job_ref: string;
  artifacts: Artifact[];
  input_artifacts: Artifact[];
  resource_usage: Usage | null;
  code_hash: string | null;
  input_hash: string | null;
  parent_execution_id: string | null;
  relationship: Relationship | null;
  stdout_truncated: boolean;
  stderr_truncated: boolean;
  idempotency_key: string | null;
  ended_by: EndedBy | null;
  host: string | null;
  attempts: Attempt[];
  environment: Environment | null;
  network: Network;
  labels: Record<string, string>;
  priority: number;
  run_at: string | null;
  queue_ms: number | null;
  sandbox: Sandbox | null;
  batch_id: string | null;
  /** Files that were left behind, and why. */
  skipped_artifacts: string[];
}

/** What went wrong. */
export interface Failure { type: string; message: string; phase: Phase | null }

/** How long phases took. */
export interface Timing {
  startup_ms: number | null;
  dep_install_ms: number | null;
  execution_ms: number | null;
  total_ms: number | null;
  phase_at_exit: Phase | null;
}

/** A file that a job left or was given. */
export interface Artifact { name: string; size_bytes: number; sha256: string; content_type: string | null }

export interface ArtifactList { job_id: string; items: Artifact[]; count: number }

/** What user code used. */
export interface Usage { max_rss_mb: number | null; cpu_time_ms: number | null; wall_time_ms: number | null }

/** Why an execution ended. */
export interface EndedBy { actor: Actor; limit: string | null; signal: string | null; detail: string | null }

/** One try. */
export interface Attempt {
  n: number;
  started_at: string | null;
  ended_at: string | null;
  status: Status;
  error: Failure | null;
  host: string | null;
}

/** What an execution ran in. */
export interface Environment { name: string; version: string; digest: string }

/** The network that an execution had, and what it did with it. */
export interface Network { mode: NetworkMode; bytes_in: number | null; bytes_out: number | null; denied: Denied[] }

/** A connection that was refused, and how often. */
export interface Denied { host: string; port: number; reason: string; count: number }

/** What isolated an execution. */
export interface Sandbox {
  supply: Supply;
  engine: string;
  engine_version: string;
  /** Limits that held nothing on that host. */
  unenforced: string[];
}

/** What an execution came from, the nearest first, and what came of it, level by level. */
export interface Lineage { execution_id: string; ancestors: Relative[]; descendants: Relative[]; truncated: boolean }

/** An execution in a lineage. */
export interface Relative {
  execution_id: string;
  parent_execution_id: string | null;
  relationship: Relationship | null;
  status: Status;
  created_at: string | null;
}

/** What two executions do not share. */
export interface Diff { left: string; right: string; identical: boolean; differences: Difference[] }

export interface Difference { field: string; left: unknown; right: unknown }

/** A batch that was accepted. */
export interface BatchSubmitted { batch_id: string; status: string; total: number }

/** Where a batch stands. */
export interface Batch {
  batch_id: string;
  status: "running" | "finished" | "cancelled";
  total: number;
  counts: { [status in Status]?: number };
  created_at: string | null;
  ended_at: string | null;
  labels: Record<string, string>;
}

/** A file that was sent ahead of its job. */
export interface Upload { upload_id: string; size_bytes: number; sha256: string }

/** A named environment. */
export interface JobType {
  name: string;
  requirements: string[];
  python_version: string;
  memory_limit: string;
  cpu_limit: number;
  timeout: number;
  startup_timeout: number;
  network_enabled: boolean;
  session_enabled: boolean;
  gpu_enabled: boolean;
  gpu_vendor: string | null;
  /** It is built. */
  image_exists: boolean;
  image: string | null;
  language: string;
  preload: string[];
  network: JobTypeNetwork;
  secrets: SecretBinding[];
}

/** What jobs of a type may reach. */
export interface JobTypeNetwork { mode: NetworkMode; allow: string[] }

/** A stored secret that jobs use without having it: it is put into requests by HTTPS to host. */
export interface SecretBinding {
  name: string;
  /** With ":port" unless that is 443. */
  host: string;
  /** Authorization by default. */
  header?: string;
}

/** A job type that was built. */
export interface Build { status: string; job_type: string; version: string; digest: string; image_ref: string; build_id: string }

/** A build of a job type. */
export interface JobTypeVersion { version: string; digest: string; version_tag: string | null; built_at: string | null; built_by: string }

/** What exactly a build installed: a requirements.txt with hashes, a package-lock.json. */
export interface Lock { python: string | null; npm: unknown }

export interface JobTypeRemoved { status: string; job_type: string }
