-- What this service has said and Kafka does not yet hold.

-- A queue, emptied by one relay. CACHE 1: a larger cache would give each connection its own block of ids,
-- and id order would no longer be lock order.
CREATE TABLE outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    topic   text  NOT NULL,
    key     text  NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (octet_length(payload) + octet_length(headers::text) <= 900 * 1024)
);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

-- How far the relay's sends are confirmed.
CREATE TABLE relayed (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
);

GRANT SELECT, INSERT, DELETE ON outbox TO ocop_app;
GRANT SELECT, INSERT, UPDATE ON relayed TO ocop_app;
