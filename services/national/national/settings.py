"""What only national has to be told."""

from typing import Annotated

from pydantic import Field

from servicekit import settings


class Settings(settings.Settings):
    """Besides those of every service."""

    address_requests_s: Annotated[
        int, Field(ge=1, description="requests a second of one address, on the average of ten seconds")
    ] = 50
    address_requests_at_once: Annotated[int, Field(ge=1, description="most requests of an address under way")] = 16
