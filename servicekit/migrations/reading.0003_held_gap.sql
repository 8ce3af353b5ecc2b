-- Asked for every few seconds, where rows that wait may be hundreds of thousands.
-- squawk-ignore require-concurrent-index-creation  -- so many take a second
CREATE INDEX held_gap ON held (since) WHERE reason = 'gap';
