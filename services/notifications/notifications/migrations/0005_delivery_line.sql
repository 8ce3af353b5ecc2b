-- Each tenant's line of what is to be told by one rule, oldest first: read from its head every second, however long those
-- of the others are.
-- squawk-ignore require-concurrent-index-creation  -- of what is not told yet only, which is little or takes seconds
CREATE INDEX delivery_line ON delivery (tenant, rule, due_at, id) WHERE mail IS NULL AND NOT cancelled;
