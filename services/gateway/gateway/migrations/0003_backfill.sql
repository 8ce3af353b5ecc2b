-- Years of records sent at once, in a lane of their own: they wait here, and go on while nobody is behind.

CREATE TABLE backfill (
    namespace   text PRIMARY KEY,
    declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL,
    latest_at   timestamptz NOT NULL DEFAULT clock_timestamp()  -- when something was last fed
);

-- Null: went into the outbox when it was taken. Else in the backfill lane: when it was fed, infinity until then.
ALTER TABLE submission ADD COLUMN fed_at timestamptz;
CREATE INDEX submission_unfed ON submission (received_at, id) WHERE fed_at = 'infinity';
CREATE INDEX submission_fed ON submission (namespace) WHERE fed_at IS NOT NULL AND state = 'received';

GRANT SELECT, INSERT, UPDATE, DELETE ON backfill TO ocop_app;

-- Which of these namespaces are in the backfill lane. A function, so that the HTTP role reads no table for it.
CREATE FUNCTION in_backfill(namespaces text[]) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
BEGIN ATOMIC
    SELECT b.namespace FROM public.backfill b WHERE b.namespace = ANY (namespaces);
END;
REVOKE ALL ON FUNCTION in_backfill(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION in_backfill(text[]) TO ocop_app, ocop_http;
