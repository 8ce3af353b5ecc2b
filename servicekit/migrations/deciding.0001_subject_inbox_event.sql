-- What a deciding service knows of submissions, and its log of record.

-- The lock of an aggregate, and where its numbering stands.
CREATE TABLE subject (
    aggregate     text   NOT NULL,
    id            uuid   NOT NULL,
    last_sequence bigint NOT NULL DEFAULT 0,
    last_recorded timestamptz,
    PRIMARY KEY (aggregate, id)
);

-- What became of each submission.
CREATE TABLE inbox (
    source        text NOT NULL,
    event_id      text NOT NULL,
    submission_id uuid,
    digest        text,                        -- null after bytes that did not decode
    state         text NOT NULL CHECK (state IN ('waiting', 'applied', 'rejected', 'withdrawn', 'failed')),
    code          text,
    pointer       text,
    params        jsonb,
    event_ids     uuid[] NOT NULL DEFAULT '{}',
    outcome_seq   integer NOT NULL DEFAULT 0,
    PRIMARY KEY (source, event_id)
);

-- The log of record: append only, numbered per aggregate.
CREATE TABLE event (
    aggregate   text   NOT NULL,
    subject     uuid   NOT NULL,
    sequence    bigint NOT NULL,
    id          uuid   NOT NULL UNIQUE,
    type        text   NOT NULL,
    recorded_at timestamptz NOT NULL,
    cause       uuid   NOT NULL,
    headers     jsonb  NOT NULL,
    payload     bytea  NOT NULL,
    PRIMARY KEY (aggregate, subject, sequence)
);

GRANT SELECT, INSERT, UPDATE ON subject, inbox TO ocop_app;
GRANT SELECT, INSERT ON event TO ocop_app;
