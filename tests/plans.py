"""What PostgreSQL says of how it has answered a query."""

import json
from typing import Any

from servicekit.database import Connection


async def most_rows(connection: Connection, query: str, *arguments: Any) -> float:
    """The most rows that a step of the query looks at in one go, those that it lets fall among them. It is run."""
    plan = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + query, *arguments)
    return _most(json.loads(plan)[0]["Plan"])


def _most(plan: Any) -> float:
    fallen: float = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return max([float(plan["Actual Rows"]) + fallen, *map(_most, plan.get("Plans", ()))])
