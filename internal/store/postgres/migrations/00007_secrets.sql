-- +goose Up

-- Values of secrets, sealed with a key that is in no database.
CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    sealed     BYTEA NOT NULL,
    changed_at BIGINT NOT NULL
);
