-- The second wall around what the HTTP role writes, whatever a query forgets.

-- A submission is of the tenant's own sources: nobody takes another's ids.
ALTER POLICY own_tenant ON submission WITH CHECK (
    tenant = current_setting('app.tenant', true)
    AND starts_with(source, '/provinces/' || current_setting('app.tenant', true) || '/')
);

-- What is said in a tenant's name is said by its own requests.
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON outbox FOR INSERT TO ocop_http WITH CHECK (
    headers ->> 'ce_tenant' = current_setting('app.tenant', true) AND current_setting('app.tenant', true) <> ''
);
CREATE POLICY all_tenants ON outbox TO ocop_app USING (true) WITH CHECK (true);
-- outbox_bound runs as the owner.
CREATE POLICY bound ON outbox FOR SELECT TO CURRENT_USER USING (true);
