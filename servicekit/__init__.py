"""How a service runs. One reading order explains all of it:

- `message`    a record off a partition, decoded or not
- `runner`     one poll, one transaction: owns position, retry and giving up; `patience` says how long
- `position`   how far a database has read, and its comparison with the log
- `handler`    the seam: what a service does with records, of which there are three kinds:
    - `decider`    submissions -> decisions, with `batch` (one transaction's work), `inbox`, `state`, `records`
    - `projector`  numbered events -> rows, each applied once, in order
    - `listener`   records without numbers, outcomes above all
- `held`       what waits; `waker` tries it again, `trouble` shows it to an operator
- `outbox`, `relay`  what was said, and its way to Kafka
- `loss`       notices a topic of its own that was made anew
- `setback`    refuses to go on from a database that knows less than it has said
- `service`    puts these together behind one `run`

What operators do, each act recorded by `audit`: `retry` and `skip` of held rows; going on after the `breaker` has
stopped a topic; `adopt`, `republish` and `rebuilding`, after a loss.

The rest is ground: `settings`, `database`, `connection`, `migrate`, `access`, `kafka`, `log`, `topic_ids`,
`header_names`, `failure`, `forgotten`, `limits`, `http`, `health`, `healthcheck`, `lag`, `logs`, `metrics`, `observer`,
`tracing`, `failpoint`.
"""
