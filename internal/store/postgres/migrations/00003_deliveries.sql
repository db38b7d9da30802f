-- +goose Up

-- What one owner has to be told must not keep the others waiting.
CREATE INDEX deliveries_owner_due ON deliveries (owner, next_at) WHERE status = 'pending';
