-- How much is held for which reason, and since when, is looked at four times a minute, without reading what it says.
CREATE INDEX held_reason ON held (reason, since);
