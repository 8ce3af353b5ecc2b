-- An outcome can be said again from the inbox alone; and of a submission something may have been said that is not
-- its end, before this database was set back: state `said`.
ALTER TABLE inbox
    ADD COLUMN tenant      text,
    ADD COLUMN type        text,
    ADD COLUMN subject     uuid,
    ADD COLUMN time        timestamptz,
    ADD COLUMN received_at timestamptz,
    DROP CONSTRAINT inbox_state_check,
    ADD CONSTRAINT inbox_state_check
        CHECK (state IN ('said', 'waiting', 'applied', 'rejected', 'withdrawn', 'failed'));
