-- Topics of the service's own that were made anew, and of which not all has been said again.
CREATE TABLE lost_topic (
    topic text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT, DELETE ON lost_topic TO ocop_app;
GRANT DELETE ON relayed TO ocop_app;
