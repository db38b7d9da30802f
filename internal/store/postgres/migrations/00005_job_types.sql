-- +goose Up

CREATE TABLE job_types (
    name       TEXT PRIMARY KEY,
    definition TEXT    NOT NULL, -- JSON
    changed_at BIGINT NOT NULL
);

-- Builds of job types, of those of a configuration file, too: name refers to
-- nothing.
CREATE TABLE type_versions (
    name       TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    number     BIGINT NOT NULL,
    tag        TEXT    NOT NULL,
    definition TEXT    NOT NULL, -- JSON
    built_at   BIGINT NOT NULL,
    built_by   TEXT    NOT NULL,
    log        TEXT    NOT NULL,
    PRIMARY KEY (name, digest)
);
CREATE UNIQUE INDEX type_versions_number ON type_versions (name, number);
CREATE UNIQUE INDEX type_versions_tag ON type_versions (name, tag) WHERE tag <> '';
