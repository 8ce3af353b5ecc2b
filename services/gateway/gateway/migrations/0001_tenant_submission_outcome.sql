-- Who may submit, what was submitted, and what became of it.

CREATE TABLE tenant (
    code         text PRIMARY KEY CHECK (code ~ '^2025-[0-9]{2}$'),
    enrolled_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    suspended_at timestamptz
);

-- A key is shown once and kept as its SHA-256: it is 32 random bytes, so that a slow hash would add nothing.
CREATE TABLE api_key (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text  NOT NULL REFERENCES tenant,
    system     text  NOT NULL CHECK (system ~ '^[A-Za-z0-9._-]{1,64}$'),
    namespaces text[] NOT NULL CHECK (cardinality(namespaces) > 0),
    sha256     bytea NOT NULL UNIQUE,
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz
);

CREATE TABLE submission (
    id          uuid  PRIMARY KEY,
    tenant      text  NOT NULL CHECK (tenant <> ''),
    source      text  NOT NULL,
    event_id    text  NOT NULL,
    namespace   text  NOT NULL,
    type        text  NOT NULL,
    subject     uuid  NOT NULL,
    subject_ref text  NOT NULL,                    -- as the province writes it: <namespace>/<ref>
    service     text  NOT NULL,                    -- who decides it
    digest      text  NOT NULL,
    body        bytea NOT NULL,                    -- the bytes of the event, exactly
    headers     jsonb NOT NULL,                    -- of the record that goes to the deciding service
    payload     bytea NOT NULL,
    received_at timestamptz NOT NULL,
    state       text  NOT NULL DEFAULT 'received'
                CHECK (state IN ('received', 'waiting', 'applied', 'rejected', 'withdrawn', 'failed')),
    repeat_at   timestamptz NOT NULL,              -- when it is put into the outbox again, unless its end is known
    repeated    integer NOT NULL DEFAULT 0,
    UNIQUE (source, event_id)
);
CREATE INDEX submission_list ON submission (tenant, received_at, id);
CREATE INDEX submission_state ON submission (tenant, state, received_at, id);
CREATE INDEX submission_repeat ON submission (repeat_at) WHERE state IN ('received', 'waiting', 'failed');

-- Every outcome heard, also of a submission that is not known (after a restore it may come again).
CREATE TABLE outcome (
    source        text NOT NULL,
    event_id      text NOT NULL,
    submission_id uuid NOT NULL,
    number        integer NOT NULL,
    tenant        text NOT NULL CHECK (tenant <> ''),
    state         text NOT NULL,
    code          text,
    pointer       text,
    params        jsonb NOT NULL,
    event_ids     uuid[] NOT NULL,
    heard_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, event_id, submission_id, number)
);

-- The second wall: the HTTP role sees one tenant, whatever a query forgets.
ALTER TABLE submission ENABLE ROW LEVEL SECURITY;
ALTER TABLE submission FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON submission TO ocop_http
    USING (tenant = current_setting('app.tenant', true)) WITH CHECK (tenant = current_setting('app.tenant', true));
CREATE POLICY all_tenants ON submission TO ocop_app USING (true) WITH CHECK (true);

ALTER TABLE outcome ENABLE ROW LEVEL SECURITY;
ALTER TABLE outcome FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON outcome TO ocop_http USING (tenant = current_setting('app.tenant', true));
CREATE POLICY all_tenants ON outcome TO ocop_app USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON tenant, api_key, submission TO ocop_app;
GRANT SELECT, INSERT ON outcome TO ocop_app;
GRANT SELECT, INSERT ON submission TO ocop_http;
GRANT SELECT ON outcome TO ocop_http;
GRANT INSERT ON outbox TO ocop_http;

-- Whose key it is. A function, so that the HTTP role can ask for one key and read none.
CREATE FUNCTION key_holder(hash bytea)
    RETURNS TABLE (tenant text, system text, namespaces text[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
BEGIN ATOMIC
    SELECT k.tenant, k.system, k.namespaces
    FROM public.api_key k JOIN public.tenant t ON t.code = k.tenant
    WHERE k.sha256 = hash AND k.revoked_at IS NULL AND t.suspended_at IS NULL;
END;
REVOKE ALL ON FUNCTION key_holder(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION key_holder(bytea) TO ocop_app, ocop_http;

-- How deep and how old the outbox is, for the bound behind which nothing more is taken.
CREATE FUNCTION outbox_bound(most_rows integer)
    RETURNS TABLE (rows bigint, age_seconds double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
BEGIN ATOMIC
    SELECT (SELECT count(*) FROM (SELECT FROM public.outbox LIMIT most_rows) few),
           (SELECT coalesce(extract(epoch FROM clock_timestamp() - created_at), 0)::double precision
            FROM public.outbox ORDER BY id LIMIT 1);
END;
REVOKE ALL ON FUNCTION outbox_bound(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_bound(integer) TO ocop_app, ocop_http;
