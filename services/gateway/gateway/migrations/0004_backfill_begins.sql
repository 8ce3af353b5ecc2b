-- Null until something of the namespace was fed: it is declared before its sender begins, however long before.
ALTER TABLE backfill ALTER COLUMN latest_at DROP NOT NULL;
