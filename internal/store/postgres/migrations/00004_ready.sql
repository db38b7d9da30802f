-- +goose Up

-- What is queued by when it may run, and whose it is: how much is due soon, and
-- how much an owner has for later, is asked for all the time.
CREATE INDEX records_ready ON records (ready_at, owner) WHERE status = 'queued';
