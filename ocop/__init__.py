"""The command line of OCOP Interconnect, and the stack that it runs on one machine.

The map, from the engines outward:

- ``jars``, ``kafka``: Apache Kafka from pinned jars, one KRaft node.
- ``postgres``: PostgreSQL from a wheel, reached with passwords only.
- ``provision``: databases, roles, topics and migrations, on these engines or on others.
- ``home``: what one installation remembers (ports, passwords, replicas) and where it keeps its files; or, of services
  that others start, what the environment says.
- ``passwords``: those of services that others start, a file for each.
- ``supervision``: the processes, under ``supervisor``, and those that it lost.
- ``stack``: ``up``, ``down`` and ``status``, made of the parts above.
- ``services``, ``databases``: which there are, and how a command reaches what each keeps.
- ``demo``, ``history``: what provinces published, submitted and compared; ``mailbox`` takes the mails meanwhile.
- ``oracle`` with ``rules``, ``quiet``, ``trace``: whether anything was lost, and one event's whole way.
- ``tenant``, ``mail``, ``dlq``, ``consumer``, ``backfill``, ``restore``, ``rebuild``: what operators do, by the
  services' own stores, handlers and projections.
- ``__main__``: the commands.

Services run as processes of their own, whatever a command does.
"""
