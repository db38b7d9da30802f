-- +goose Up

-- What one owner asks for must not cost what everybody has.
CREATE INDEX records_owner_status ON records (owner, status, created_at, seq) WHERE owner <> '';
CREATE INDEX records_owner_job_type ON records (owner, job_type, created_at, seq) WHERE owner <> '';
CREATE INDEX deliveries_owner ON deliveries (owner, created_at) WHERE owner <> '';
