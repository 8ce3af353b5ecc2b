-- Of which epoch of its topic a place is: one made anew counts from 0 again. Null: not known, compared from the start.
ALTER TABLE relayed ADD COLUMN topic_id uuid;
