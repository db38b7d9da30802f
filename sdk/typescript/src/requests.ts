// What is sent. Times are seconds; what is left out is the server's default.
import type { Content } from "./body.js";
import type { NetworkMode, SecretBinding } from "./answers.js";

export type Language = "python" | "node" | "bash";

/** A job: code, its input and its limits. */
export interface ExecuteRequest {
  code: string;
  /** /input/data.json, a JSON object. */
  input_data?: object;
  timeout?: number;
  /** For what comes before the code: the sandbox, packages. */
  startup_timeout?: number;
  job_type?: string;
  /** Makes the call safe to repeat: a repeat gets the first job. */
  idempotency_key?: string;
  requirements?: string[];
  /** "python" by default; the others where the environment has them. */
  language?: Language;
  args?: string[];
  env?: Record<string, string>;
  stdin?: string;
  files?: InputFile[];
  limits?: Limits;
  network?: NetworkRequest;
  image?: string;
  /** From 1, which runs first, to 4; 2 by default. */
  priority?: number;
  /** RFC 3339, at most 30 days ahead. */
  run_at?: string;
  retry?: "infrastructure" | "never";
  labels?: Record<string, string>;
  webhook_url?: string;
  /** Of execute(): the code ends when the caller hangs up. */
  cancel_on_disconnect?: boolean;
}

/** A file below /input, with exactly one source. */
export interface InputFile {
  path: string;
  text?: string;
  /** Base64. */
  content?: string;
  /** "<job id>/<name>" of a file that a job left. */
  artifact?: string;
  /** The upload_id of an upload. */
  upload?: string;
  /** Bytes that go along with the request. Not in batches. */
  data?: Content;
}

/** Limits of one job; memory and disk in bytes, or as "512m". */
export interface Limits {
  memory?: number | string;
  cpus?: number;
  pids?: number;
  disk?: number | string;
  stdout_bytes?: number;
  stderr_bytes?: number;
  artifact_bytes?: number;
}

/** A part of what the job type's network has. */
export interface NetworkRequest { mode: NetworkMode; allow?: string[] }

/** Up to 1,000 jobs. */
export interface BatchRequest {
  items: ExecuteRequest[];
  labels?: Record<string, string>;
  webhook_url?: string;
  idempotency_key?: string;
}

/** What another run of a job has otherwise. */
export interface RerunRequest { job_type?: string; timeout?: number }

/** Other code for a job's input. */
export interface ForkRequest { code: string; job_type?: string; timeout?: number }

export type Scope = "read" | "execute" | "admin";

/** An API key to be made. */
export interface KeyRequest {
  name: string;
  scopes: Scope[];
  /** RFC 3339. */
  expires_at?: string;
}

/** A job type to be made. */
export interface JobTypeRequest {
  requirements?: string[];
  python_version?: string;
  base_image?: string;
  image?: string;
  language?: Language;
  preload?: string[];
  network?: NetworkRequest;
  secrets?: SecretBinding[];
  limits?: TypeLimits;
  shared_code?: string[];
  environment?: Record<string, string>;
  /** The same by its shorter name; one of them. */
  env?: Record<string, string>;
  /** Such as "512m". */
  memory_limit?: string;
  cpu_limit?: number;
  timeout?: number;
  startup_timeout?: number;
  network_enabled?: boolean;
  session_enabled?: boolean;
  /** There is none to give. */
  gpu?: { enabled: boolean; vendor?: string; count?: number; device_ids?: string[] };
}

/** Limits of a job type beside memory, processors and time. */
export interface TypeLimits {
  pids?: number;
  disk?: number;
  stdout_bytes?: number;
  stderr_bytes?: number;
  artifact_bytes?: number;
}

/** A part of a list. */
export interface PageOptions { limit?: number; offset?: number }

/** Asks for records with everything that is known of each. */
export interface FullView { view: "full" }

/** Which executions; what is left out chooses all. */
export interface ExecutionFilter extends PageOptions {
  status?: string;
  job_type?: string;
  /** All of them. */
  labels?: Record<string, string>;
}

export interface DlqFilter extends PageOptions { error_type?: string }
export interface DeliveryFilter extends PageOptions {
  /** Or the id of a batch. */
  job_id?: string;
}
