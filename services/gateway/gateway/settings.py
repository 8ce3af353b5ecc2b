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
