-- An answer says how many events it may lack. Of which topic and subject they are, not what they say.
GRANT SELECT (queue, topic, subject) ON held TO ocop_http;
GRANT SELECT (topic, subject, n) ON skipped TO ocop_http;
