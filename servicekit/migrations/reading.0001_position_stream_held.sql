-- How far this database has read, and what it could not go on with.

-- The truth about reading: committed with the work itself. Kafka's group offset is only for lag metrics.
CREATE TABLE position (
    topic       text   NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    topic_id    uuid   NOT NULL,               -- a topic made anew has another id: a new epoch, read from its start
    PRIMARY KEY (topic, partition)
);

-- Numbered topics: the last sequence applied per subject.
CREATE TABLE stream (
    topic   text   NOT NULL,
    subject uuid   NOT NULL,
    applied bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, subject)
);

-- What waits, stands behind something that waits, failed, or came before its predecessor.
-- queue: for submissions the aggregate, for numbered topics the topic; null where bytes named neither.
CREATE TABLE held (
    id        bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    queue     text,
    subject   uuid,
    n         bigint,                          -- the sequence, for numbered topics
    reason    text    NOT NULL CHECK (reason IN ('waiting', 'behind', 'failed', 'gap')),
    waits_for uuid,
    ready     boolean NOT NULL DEFAULT false,
    error     jsonb,
    source    text,
    event_id  text,
    headers   jsonb   NOT NULL,
    payload   bytea   NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint  NOT NULL,
    since     timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (topic, partition, "offset")
);
CREATE INDEX held_queue ON held (queue, subject, coalesce(n, id));
CREATE INDEX held_event ON held (source, event_id);
CREATE INDEX held_waits_for ON held (waits_for) WHERE reason = 'waiting' AND NOT ready;
CREATE INDEX held_ready ON held (id) WHERE ready;

GRANT SELECT, INSERT, UPDATE, DELETE ON position, stream, held TO ocop_app;
