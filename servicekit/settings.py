"""Settings that every service has, read from the environment once, at start."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Variables carry the prefix OCOP_. A missing or malformed one ends the start with its name."""

    model_config = SettingsConfigDict(env_prefix="OCOP_", extra="ignore")

    kafka_bootstrap: Annotated[str, Field(description="host:port of a broker; several with commas")]
    database_url: Annotated[str, Field(description="this service's database, application role")]
    database_http_url: Annotated[str, Field(description="the same database, HTTP role")] = ""
    database_pool: Annotated[int, Field(ge=2, le=100, description="connections per pool")] = 8
    http_host: Annotated[str, Field(description="address that HTTP listens on")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="port that HTTP listens on")] = 8080
    session_timeout_ms: Annotated[
        int, Field(ge=6000, le=300_000, description="after this silence the group gives our partitions away")
    ] = 30_000
    readers: Annotated[
        int, Field(ge=1, le=4, description="members of the group in this process: one decodes while another commits")
    ] = 1
    poll_records: Annotated[int, Field(ge=1, le=5000, description="most records in one transaction")] = 500
    log_level: Annotated[str, Field(description="DEBUG, INFO, WARNING or ERROR")] = "INFO"
