-- What was fed and has no outcome yet: counted five times a second, however much is not fed.
CREATE INDEX submission_under_way ON submission (id) WHERE fed_at < 'infinity' AND state = 'received';
