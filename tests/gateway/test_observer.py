"""What a database tells of its own trouble, as it is scraped: held rows, the outbox, lost topics."""

from datetime import timedelta

from servicekit import database
from servicekit.metrics import METRICS
from servicekit.observer import Observer
from tests.engines import Databases

HOUR = timedelta(hours=1).total_seconds()


def told() -> dict[str, float]:
    """What the observer has said last."""
    gauges = {
        "held": METRICS.held_rows.labels("gap"),
        "held since": METRICS.held_oldest.labels("gap"),
        "held for other reasons": METRICS.held_rows.labels("waiting"),
        "other reasons since": METRICS.held_oldest.labels("waiting"),
        "outbox": METRICS.outbox_rows,
        "outbox since": METRICS.outbox_age,
        "topics lost": METRICS.topics_lost,
    }
    return {name: gauge._value.get() for name, gauge in gauges.items()}


async def test_what_waits_is_told_with_the_age_of_the_oldest_until_nothing_does(databases: Databases) -> None:
    made = await databases.make("registry")
    async with await database.open_pool(made.app) as pool:
        await pool.execute(
            """INSERT INTO held (reason, headers, payload, topic, partition, "offset", since)
               SELECT 'gap', '{}', '', 't', 0, n, clock_timestamp() - make_interval(hours => n)
               FROM generate_series(1, 5) n"""
        )
        await pool.execute(
            """INSERT INTO outbox (topic, key, headers, payload, created_at)
               SELECT 't', '', '{}', '', clock_timestamp() - make_interval(hours => n)
               FROM generate_series(7, 6, -1) n ORDER BY n DESC"""
        )
        await pool.execute("INSERT INTO lost_topic (topic) VALUES ('a'), ('b'), ('c')")
        observer = Observer(pool, sends=True)
        await observer.once()
        hours = {name: value // HOUR if "since" in name else value for name, value in told().items()}
        assert hours == {
            "held": 5,
            "held since": 5,
            "held for other reasons": 0,
            "other reasons since": 0,
            "outbox": 2,
            "outbox since": 7,
            "topics lost": 3,
        }
        for table in ("held", "outbox", "lost_topic"):
            await pool.execute(f"DELETE FROM {table}")  # noqa: S608  # no input
        await observer.once()
        assert set(told().values()) == {0}
