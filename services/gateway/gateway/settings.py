"""What only the gateway has to be told."""

from typing import Annotated

from pydantic import Field

from servicekit import settings


class Settings(settings.Settings):
    """Besides those of every service."""

    outbox_rows: Annotated[int, Field(ge=1, description="outbox rows behind which nothing more is taken (503)")] = (
        100_000
    )
    outbox_age_s: Annotated[int, Field(ge=1, description="seconds that the oldest may wait before that")] = 120
    repeat_after_s: Annotated[
        int, Field(ge=1, description="a submission without a final outcome is sent again after so many seconds")
    ] = 600
    backfill_s: Annotated[int, Field(ge=5, description="submissions a second that a replica feeds from backfill")] = (
        1000
    )
    backfill_under_way: Annotated[
        int, Field(ge=1, description="backfill submissions that may be without an outcome at a time")
    ] = 2000
    backfill_most_lag: Annotated[
        int, Field(ge=1, description="unread records of the slowest reader beyond which backfill waits")
    ] = 4000
    key_events_s: Annotated[
        int, Field(ge=1, description="events a second that a key may send, on the average of ten seconds")
    ] = 1000
    key_events_burst: Annotated[int, Field(ge=1, description="most events of a key in one second")] = 3000
    key_requests_s: Annotated[
        int, Field(ge=1, description="requests a second that a key may make, on the average of ten seconds")
    ] = 200
    key_requests_at_once: Annotated[int, Field(ge=1, description="most requests of a key under way at once")] = 16
    address_unknown_keys_s: Annotated[
        int, Field(ge=1, description="unknown keys a second that are looked up for one address, on the same average")
    ] = 20
    address_requests_s: Annotated[
        int, Field(ge=1, description="requests a second of one address without a key, on the same average")
    ] = 50
    address_requests_at_once: Annotated[
        int, Field(ge=1, description="most requests of one address without a key under way")
    ] = 16
    body_timeout_s: Annotated[int, Field(ge=1, description="seconds in which a request's body must have come")] = 30
