"""O3: every reader has applied 1 … n of every subject, each once, or the next number is held as failed."""

from contracts.topics import TOPICS
from ocop.rules.evidence import Connection, Finding, rows, skipped


async def applied(reader: str, connection: Connection, topic: str, owner: Connection) -> list[Finding]:
    """Compares how far a reader stands in a numbered topic with the log of who writes it.

    Only the next number explains that a subject stands: it was read and failed. A row held before a gap explains
    nothing, for what is missing is on the topic (O2) and all of the topic has been read. Nothing of a numbered topic
    waits for a reference, and bytes that name no number are of no queue.
    """
    query = "SELECT subject, applied FROM stream WHERE topic = $1"
    stands = {row["subject"]: row["applied"] async for row in rows(connection, query, topic)}
    query = """SELECT DISTINCT ON (subject) subject, n, reason FROM held WHERE queue = $1
               ORDER BY subject, coalesce(n, id)"""
    heads = {row["subject"]: (row["n"], row["reason"]) for row in await connection.fetch(query, topic)}
    findings = []
    logged = set()
    query = """SELECT DISTINCT ON (subject) subject, sequence, id FROM event WHERE aggregate = $1
               ORDER BY subject, sequence DESC"""
    async for row in rows(owner, query, TOPICS[topic].aggregate):
        subject, last = row["subject"], row["sequence"]
        logged.add(subject)
        stand, head = stands.get(subject, 0), heads.get(subject)
        if stand != last and not (stand < last and head == (stand + 1, "failed")):
            held = f", and holds {head[0]} as {head[1]}" if head else ""
            text = f"{reader}: {topic} {subject} is applied to {stand} of {last}{held}"
            findings.append(Finding("O3", text, row["id"]))
    for subject, number in stands.items():
        if number and subject not in logged:
            findings.append(Finding("O3", f"{reader}: {topic} {subject} is applied and not in the log"))
    if reader == "national":
        query = "SELECT id, count(*) AS n FROM event WHERE topic = $1 GROUP BY id HAVING count(*) <> 1"
        for row in await connection.fetch(query, topic):
            findings.append(Finding("O3", f"national: event {row['id']} has {row['n']} rows", row["id"]))
        count = await connection.fetchval("SELECT count(*) FROM event WHERE topic = $1", topic)
        due = sum(stands.values()) - sum(1 for where, _, _ in await skipped(connection) if where == topic)
        if count != due:
            text = f"national: {topic} has {count} event rows, {due} applied and not passed over"
            findings.append(Finding("O3", text))
    return findings
