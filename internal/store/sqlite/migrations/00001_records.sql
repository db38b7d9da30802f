-- +goose Up

-- What is filtered and decided on. Times are nanoseconds since 1970, 0 is none.
CREATE TABLE records (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT    NOT NULL UNIQUE,
    sync             INTEGER NOT NULL,
    owner            TEXT    NOT NULL,
    batch_id         TEXT    NOT NULL,
    batch_index      INTEGER NOT NULL,
    parent_id        TEXT    NOT NULL,
    relationship     TEXT    NOT NULL,
    correlation_id   TEXT    NOT NULL,
    client_ip        TEXT    NOT NULL,
    idempotency_key  TEXT    NOT NULL,
    fingerprint      TEXT    NOT NULL,
    code_hash        TEXT    NOT NULL,
    input_hash       TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    job_type         TEXT    NOT NULL,
    job_ref          TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    queued_at        INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    ended_at         INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,
    max_attempts     INTEGER NOT NULL,
    interruptions    INTEGER NOT NULL,
    attempts         TEXT    NOT NULL, -- JSON
    cancel_requested INTEGER NOT NULL,
    entry            INTEGER NOT NULL, -- river_job.id; 0 without one
    node             TEXT    NOT NULL, -- the claim: who,
    life             TEXT    NOT NULL, -- in which process,
    lease            INTEGER NOT NULL, -- until when
    event_seq        INTEGER NOT NULL, -- of the last event
    event_bytes      INTEGER NOT NULL, -- -1 once the log is full
    said             INTEGER NOT NULL, -- how much of what the claim's holder said is in the log
    webhook_url      TEXT    NOT NULL,
    ready_at         INTEGER NOT NULL  -- since when it may run
);

CREATE INDEX records_created ON records (created_at, seq);
CREATE INDEX records_status ON records (status, created_at, seq);
CREATE INDEX records_owner ON records (owner, created_at, seq) WHERE owner <> '';
CREATE INDEX records_job_type ON records (job_type, created_at, seq);
CREATE INDEX records_ended ON records (ended_at) WHERE ended_at > 0;
CREATE INDEX records_parent ON records (parent_id, created_at, seq) WHERE parent_id <> '';
CREATE UNIQUE INDEX records_batch ON records (batch_id, batch_index) WHERE batch_id <> '';
CREATE INDEX records_batch_live ON records (batch_id) WHERE batch_id <> '' AND status IN ('queued', 'running');
CREATE UNIQUE INDEX records_key ON records (owner, idempotency_key) WHERE idempotency_key <> '';
CREATE UNIQUE INDEX records_entry ON records (entry) WHERE entry <> 0;

-- What was asked, and what came of it: written once. input and output are the
-- user's bytes.
CREATE TABLE requests (
    seq   INTEGER PRIMARY KEY,
    body  TEXT NOT NULL, -- JSON
    input BLOB
);
CREATE TABLE outcomes (
    seq    INTEGER PRIMARY KEY,
    body   TEXT NOT NULL, -- JSON
    output BLOB
);

CREATE TABLE record_labels (
    name  TEXT    NOT NULL,
    value TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    created_at INTEGER NOT NULL, -- of the record: lists are in its order
    PRIMARY KEY (name, value, created_at, seq)
) WITHOUT ROWID;
CREATE INDEX record_labels_seq ON record_labels (seq);

CREATE TABLE events (
    seq     INTEGER NOT NULL, -- of the record
    n       INTEGER NOT NULL, -- in its log, from 1
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    type    TEXT    NOT NULL,
    data    BLOB,
    PRIMARY KEY (seq, n)
) WITHOUT ROWID;

CREATE TABLE blob_refs (
    digest TEXT NOT NULL,
    kind   TEXT NOT NULL, -- record, letter, upload
    ref    TEXT NOT NULL, -- which
    PRIMARY KEY (digest, kind, ref)
) WITHOUT ROWID;
CREATE INDEX blob_refs_ref ON blob_refs (kind, ref);

CREATE TABLE batches (
    id              TEXT PRIMARY KEY,
    owner           TEXT    NOT NULL,
    total           INTEGER NOT NULL,
    status          TEXT    NOT NULL,
    labels          TEXT    NOT NULL, -- JSON
    webhook_url     TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    fingerprint     TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL,
    queue_max       INTEGER NOT NULL  -- how long the queue may be when it is fed
);
CREATE UNIQUE INDEX batches_key ON batches (owner, idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX batches_ended ON batches (ended_at);

CREATE TABLE api_keys (
    id             TEXT PRIMARY KEY,
    name           TEXT    NOT NULL,
    hash           BLOB    NOT NULL UNIQUE,
    prefix         TEXT    NOT NULL,
    scopes         TEXT    NOT NULL, -- JSON
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    last_used_at   INTEGER NOT NULL,
    webhook_secret TEXT    NOT NULL
);

CREATE TABLE dead_letters (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id         TEXT    NOT NULL,
    job_data       BLOB,
    error_type     TEXT    NOT NULL,
    error_message  TEXT    NOT NULL,
    retry_count    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    client_ip      TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    owner          TEXT    NOT NULL
);
CREATE INDEX dead_letters_type ON dead_letters (error_type, id);
CREATE INDEX dead_letters_created ON dead_letters (created_at);

CREATE TABLE deliveries (
    id           TEXT PRIMARY KEY,
    job_id       TEXT    NOT NULL,
    batch_id     TEXT    NOT NULL,
    owner        TEXT    NOT NULL,
    url          TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    tries        INTEGER NOT NULL,
    next_at      INTEGER NOT NULL,
    last_status  INTEGER NOT NULL,
    last_error   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    delivered_at INTEGER NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE status = 'pending';
CREATE INDEX deliveries_job ON deliveries (job_id) WHERE job_id <> '';
CREATE INDEX deliveries_batch ON deliveries (batch_id) WHERE batch_id <> '';
CREATE INDEX deliveries_created ON deliveries (created_at);

CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    owner      TEXT    NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX uploads_created ON uploads (created_at);
