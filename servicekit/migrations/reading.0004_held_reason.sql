-- How much is held for which reason, and since when, is looked at four times a minute, without reading what it says.
-- squawk-ignore require-concurrent-index-creation  -- what is held is little, or takes seconds
CREATE INDEX held_reason ON held (reason, since);
