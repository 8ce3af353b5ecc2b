-- The national database of OCOP: what the services have said, and what follows from it for each day.
--
-- A table is written from one topic, and every row names the event that made it. There are no foreign keys from
-- one topic's tables to another's, for any partition may be read faster than the others: they are joined at
-- reading. Whole subjects are replaced from their latest event, so a rebuild gives the same rows.
--
-- Days are half-open: `day_to` is the first day outside, and -infinity and infinity mean "without limit". So the
-- rows of a day are found by comparing two columns, and nothing is computed from dates when a figure is asked for.
--
-- All of it is public and holds no person's data, so there are no policies per tenant: the HTTP role reads
-- everything and writes nothing.

-- One row per event, for ever, in a partition for each topic. Public, so that every figure can be followed to those
-- who reported it.
CREATE TABLE event (
    id            uuid        NOT NULL,
    topic         text        NOT NULL,
    subject       uuid        NOT NULL,
    sequence      bigint      NOT NULL,
    type          text        NOT NULL,
    time          timestamptz NOT NULL,
    stated_on     date        NOT NULL,            -- the date in Vietnam at `time`
    recorded_at   timestamptz NOT NULL,
    tenant        text        NOT NULL,
    namespace     text        NOT NULL,
    canary        boolean     NOT NULL,            -- a trial event: kept, and counted by nothing
    source        text,                            -- source and id of the submission behind it;
    event_id      text,                            -- null where a service said it by itself
    correlationid uuid        NOT NULL,
    causationid   uuid        NOT NULL,
    payload       jsonb       NOT NULL,
    PRIMARY KEY (subject, sequence, topic),
    UNIQUE (id, topic)
) PARTITION BY LIST (topic);
CREATE TABLE owner_event PARTITION OF event FOR VALUES IN ('ocop.registry.owner');
CREATE TABLE product_event PARTITION OF event FOR VALUES IN ('ocop.registry.product');
CREATE TABLE recognition_event PARTITION OF event FOR VALUES IN ('ocop.evaluation.recognition');
CREATE TABLE listing_event PARTITION OF event FOR VALUES IN ('ocop.marketplace.listing');

-- "Reported up to" is the latest day in here per namespace. It is looked up, not kept in a table of its own: such
-- a row would belong to all topics at once, and could not be rebuilt from any. (The table is new and empty.)
-- squawk-ignore require-lock-timeout, require-statement-timeout
CREATE INDEX event_reported ON event (namespace, stated_on) WHERE NOT canary;

-- From ocop.registry.owner.

CREATE TABLE owner (
    id        uuid PRIMARY KEY,
    namespace text NOT NULL,
    ref       text NOT NULL,
    closed_lo date,                                -- closed on no day before, and certainly from `closed_hi` on;
    closed_hi date,                                -- null: not closed
    event     uuid NOT NULL
);

CREATE TABLE owner_period (
    owner         uuid NOT NULL,
    day_from      date NOT NULL,
    day_to        date NOT NULL CHECK (day_from < day_to),
    kind          text NOT NULL,
    business_name text,
    event         uuid NOT NULL,
    PRIMARY KEY (owner, day_from)
);

-- From ocop.registry.product.

CREATE TABLE product (
    id              uuid PRIMARY KEY,
    namespace       text NOT NULL,
    ref             text NOT NULL,
    discontinued_lo date,
    discontinued_hi date,
    event           uuid NOT NULL
);

-- A map that cannot tell the province has null there, and the codes that it can be in `candidates`.
CREATE TABLE product_period (
    product         uuid   NOT NULL,
    day_from        date   NOT NULL,
    day_to          date   NOT NULL CHECK (day_from < day_to),
    owner           uuid   NOT NULL,
    name            text   NOT NULL,
    words           text   COLLATE "C" NOT NULL,   -- the name folded for searching: no marks, no capitals, no signs
    place_printed   text,
    province_2004   text,
    candidates_2004 text[] NOT NULL,
    province_2025   text,
    candidates_2025 text[] NOT NULL,
    event           uuid   NOT NULL,
    PRIMARY KEY (product, day_from)
);
CREATE INDEX product_period_page ON product_period (words, product);
CREATE INDEX product_period_owner ON product_period (owner);

-- From ocop.evaluation.recognition. Stars, group and occasion are the values of cells, `unknown` among them.

CREATE TABLE recognition (
    product uuid PRIMARY KEY,
    event   uuid NOT NULL
);

CREATE TABLE certificate (
    product         uuid   NOT NULL,
    place           bigint NOT NULL,               -- 1 = the newest of the product
    recognition_ref text   NOT NULL,
    occasion        text   NOT NULL,
    stars           text   NOT NULL,
    product_group   text   NOT NULL,
    issued_lo       date   NOT NULL,
    issued_hi       date   NOT NULL,
    ends_lo         date   NOT NULL,
    ends_hi         date   NOT NULL,
    event           uuid   NOT NULL,
    PRIMARY KEY (product, place)
);

-- The years that a certificate can have been issued in; one that was revoked is among them. Of which year it is counts
-- from `possible_from` on, for certain from `certain_from` on.
CREATE TABLE issue (
    product         uuid   NOT NULL,
    place           bigint NOT NULL,
    year            text   NOT NULL,
    occasion        text   NOT NULL,
    stars           text   NOT NULL,
    product_group   text   NOT NULL,
    possible_from   date   NOT NULL,
    certain_from    date   NOT NULL,
    event           uuid   NOT NULL,
    PRIMARY KEY (product, place, year)
);

CREATE TABLE standing (
    product         uuid    NOT NULL,
    day_from        date    NOT NULL,
    day_to          date    NOT NULL CHECK (day_from < day_to),
    recognition_ref text    NOT NULL,
    stars           text    NOT NULL,
    product_group   text    NOT NULL,
    certain         boolean NOT NULL,
    stars_certain   boolean NOT NULL,
    group_certain   boolean NOT NULL,
    event           uuid    NOT NULL,
    PRIMARY KEY (product, day_from)
);

-- From ocop.marketplace.listing.

CREATE TABLE listing (
    id        uuid PRIMARY KEY,
    namespace text NOT NULL,
    ref       text NOT NULL,
    product   uuid NOT NULL,
    event     uuid NOT NULL
);
CREATE INDEX listing_product ON listing (product);

CREATE TABLE offer (
    listing  uuid    NOT NULL,
    day_from date    NOT NULL,
    day_to   date    NOT NULL CHECK (day_from < day_to),
    product  uuid    NOT NULL,
    platform text    NOT NULL,
    certain  boolean NOT NULL,
    event    uuid    NOT NULL,
    PRIMARY KEY (listing, day_from)
);
CREATE INDEX offer_product ON offer (product);

GRANT SELECT, INSERT ON event, owner_event, product_event, recognition_event, listing_event TO ocop_app;
GRANT SELECT, INSERT, DELETE ON owner, owner_period, product, product_period, recognition, certificate, issue,
    standing, listing, offer TO ocop_app;
GRANT SELECT ON event, owner, owner_period, product, product_period, recognition, certificate, issue, standing,
    listing, offer TO ocop_http;

-- That something was put aside makes every figure incomplete. Whether there is anything, not what it is.
GRANT SELECT (id) ON held TO ocop_http;
