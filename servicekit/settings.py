"""Settings that every service has, read from the environment and from files of secrets once, at start.

Passwords of databases alone are read again, from their files, with each new connection: they change while it runs.
"""

import os
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from servicekit.database import with_password_file


class Database(BaseSettings):
    """Where a service's database is. Variables carry the prefix OCOP_.

    What is not in the environment is looked for in the directory that OCOP_SECRETS names, in a file of the variable's
    name in small letters: so a password need not stand in an environment, where whoever lists processes reads it.
    """

    model_config = SettingsConfigDict(env_prefix="OCOP_", extra="ignore")

    database_url: Annotated[str, Field(description="this service's database, application role")]
    database_password: Annotated[str, Field(description="of that role, where the URL has none")] = ""
    database_http_url: Annotated[str, Field(description="the same database, HTTP role")] = ""
    database_http_password: Annotated[str, Field(description="of that role, where the URL has none")] = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # nothing is read from .env
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # knows no variable for its directory
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before files."""
        directory = os.environ.get("OCOP_SECRETS")
        if directory and not Path(directory).is_dir():
            raise ValueError(f"OCOP_SECRETS={directory} is no directory")
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, directory or None)

    @model_validator(mode="after")
    def _let_in(self) -> Self:
        self.database_url = _let_in(self.database_url, "OCOP_DATABASE_PASSWORD", self.database_password)
        self.database_http_url = _let_in(
            self.database_http_url, "OCOP_DATABASE_HTTP_PASSWORD", self.database_http_password
        )
        return self


class Settings(Database):
    """What every service is told. A missing or malformed one ends the start with its name."""

    kafka_bootstrap: Annotated[str, Field(description="host:port of a broker; several with commas")]
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
    trace_share: Annotated[
        float, Field(ge=0, le=1, description="of all traces, so many are kept; OTEL_EXPORTER_OTLP_ENDPOINT says where")
    ] = 0.05
    log_level: Annotated[str, Field(description="DEBUG, INFO, WARNING or ERROR")] = "INFO"

    @property
    def half_of_pool(self) -> int:
        """Connections that one key or address may use at a time: the other half is for the others."""
        return self.database_pool // 2


def _let_in(url: str, variable: str, password: str) -> str:
    """The URL with its user's password, or with its file, which may say another one tomorrow."""
    file = Path(os.environ.get("OCOP_SECRETS", ""), variable.lower())
    if variable in os.environ or not file.is_file():
        return with_password(url, password)
    return with_password_file(url, file) if _lacks_password(url) else url


def with_password(url: str, password: str) -> str:
    """The URL with a password for its user, unless it has one, or names no user."""
    if not password or not _lacks_password(url):
        return url
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()


def _lacks_password(url: str) -> bool:
    user = urlsplit(url).netloc.rpartition("@")[0]
    return user != "" and ":" not in user
