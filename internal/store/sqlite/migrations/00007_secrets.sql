-- +goose Up

-- Values of secrets, sealed with a key that is in no database.
CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    sealed     BLOB NOT NULL,
    changed_at INTEGER NOT NULL
);
