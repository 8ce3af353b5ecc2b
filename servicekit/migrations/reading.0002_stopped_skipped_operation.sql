-- What operators do with trouble, and what they have done.

-- Topics that this service has ceased to read because too much of a partition failed at once.
CREATE TABLE stopped (
    topic      text NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason     text NOT NULL,
    resumed_at timestamptz,
    PRIMARY KEY (topic, since)
);
CREATE UNIQUE INDEX stopped_now ON stopped (topic) WHERE resumed_at IS NULL;

-- What an operator has passed over, with its bytes: what it was of is incomplete from then on.
CREATE TABLE skipped (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue      text,
    subject    uuid,
    n          bigint,                         -- the sequence, for numbered topics
    source     text,
    event_id   text,
    error      jsonb,
    headers    jsonb NOT NULL,
    payload    bytea NOT NULL,
    topic      text  NOT NULL,
    since      timestamptz NOT NULL,           -- first seen
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text  NOT NULL,
    reason     text  NOT NULL
);
CREATE UNIQUE INDEX skipped_number ON skipped (topic, subject, n) WHERE n IS NOT NULL;

-- Who has done what. It only grows, whoever asks.
CREATE TABLE operation (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text  NOT NULL CHECK (actor <> ''),
    what    text  NOT NULL,
    details jsonb NOT NULL
);
CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % only grows', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON operation
    FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON skipped
    FOR EACH STATEMENT EXECUTE FUNCTION only_grows();

ALTER TABLE held ADD COLUMN retried integer NOT NULL DEFAULT 0;  -- how often an operator had it tried again

GRANT SELECT, INSERT, UPDATE ON stopped TO ocop_app;
GRANT SELECT, INSERT ON skipped, operation TO ocop_app;
