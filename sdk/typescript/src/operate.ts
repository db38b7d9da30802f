// What is answered about the server, its keys and its secrets.

/** What runs and waits. */
export interface Pool { pending: number; running: number; max_workers: number; max_queue_size: number }

/** The same with the sandboxes that wait for an attempt. */
export interface PoolStats extends Pool { sandboxes: Sandboxes }

export interface Sandboxes {
  ready: number;
  making: number;
  wanted: number;
  max: number;
  /** Kinds of attempts that they are for. */
  shapes: number;
  /** Attempts that found one. */
  hits: number;
  /** Attempts that could have used one. */
  misses: number;
  made: number;
  /** How often none could be made. */
  failed: number;
  /** How long the last one took to be made. */
  refill_ms: number;
  /** What those that wait hold. */
  memory_bytes: number;
}

/** How the server is. */
export interface Health {
  status: "healthy" | "degraded";
  /** The engine works; there is no Docker. */
  docker_available: boolean;
  gvisor_available: boolean;
  circuit_breaker: Breaker;
  version: string;
  production_mode: boolean;
  queue_stats: Pool;
  engine: Engine;
}

/** The guard before the engine. */
export interface Breaker {
  state: string;
  failure_count: number;
  success_count: number;
  /** Seconds since 1970. */
  last_failure: number | null;
}

/** The isolation engine. */
export interface Engine { name: string; version: string; platform: string; isolation: string; ready: boolean }

/** Whether the server takes work. */
export interface Readiness { status: string; detail?: string }

/** Counts of dead letters. */
export interface DLQStats { total: number; by_error_type: Record<string, number> }

/** A job that the server could not bring to an end of its own. */
export interface DeadLetter {
  id: number;
  job_id: string;
  /** A summary without code and input. */
  job_data: unknown;
  error_type: string;
  error_message: string | null;
  retry_count: number;
  created_at: string;
  client_ip: string | null;
  correlation_id: string | null;
}

export interface DeadLetterRemoved { status: string; entry_id: number }

/** A stored secret, without its value. */
export interface Secret { name: string; changed_at: string | null }

export interface SecretRemoved { status: string; name: string }

/** A stored API key, without the key. */
export interface Key {
  id: string;
  name: string;
  prefix: string;
  scopes: string[];
  created_at: string | null;
  expires_at: string | null;
  last_used_at: string | null;
}

/** An API key with the key and the secret of its webhooks, which are answered once. */
export interface CreatedKey extends Key { key: string; webhook_secret: string }

export interface KeyRemoved { status: string; id: string }

/** A webhook that is due, was delivered or was given up. */
export interface Delivery {
  id: string;
  job_id: string | null;
  batch_id: string | null;
  url: string;
  status: string;
  tries: number;
  next_at: string | null;
  last_status: number | null;
  last_error: string | null;
  created_at: string | null;
  delivered_at: string | null;
}
