"""How a service runs. One reading order explains all of it:

- `message`    a record off a partition, decoded or not
- `runner`     one poll, one transaction: the only place that owns position, retry and giving up
- `decider`    submissions -> decisions: inbox, state, event log, outcomes
- `projector`  numbered events -> rows, each applied once, in order
- `listener`   records without numbers, outcomes above all
- `held`       what waits, and how it is woken
- `outbox`, `relay`  what was said, and its way to Kafka
- `setback`    refuses to go on from a database that knows less than it has said
- `service`    puts these together behind one `run`

The rest is ground: `settings`, `database`, `migrate`, `kafka`, `health`, `telemetry`, `failpoint`.
"""
