"""Random histories of the delivery protocol, in one process: `make simulate`.

Real: the runner, the relay, deciders, projectors, listener, waker, gateway intake and repeater, setback; and
PostgreSQL, because its locks, what READ COMMITTED lets one transaction see of another, and its constraints are half
of the protocol. A model: Kafka, the clock, and who runs when. Every call to the database, the consumer or the
producer is a gate at which an actor may be stopped, made to crash, or lose its connection.
"""
