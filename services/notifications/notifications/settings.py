"""What only notifications has to be told."""

from typing import Annotated

from pydantic import Field

from servicekit import settings


class Settings(settings.Settings):
    """Besides those of every service."""

    smtp_host: Annotated[str, Field(description="mail server")] = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65535, description="its port")] = 25
    smtp_from: Annotated[str, Field(description="sender of all mails")] = "ocop@localhost"
    smtp_user: Annotated[str, Field(description="login, where the server wants one")] = ""
    smtp_password: Annotated[str, Field(description="its password")] = ""
    smtp_starttls: Annotated[bool, Field(description="encrypt; off only for a server on the same machine")] = False
    smtp_ca_file: Annotated[
        str, Field(description="who must have signed the server's certificate; empty: an authority of the system")
    ] = ""
    waiting_after_s: Annotated[
        int, Field(ge=0, description="a submission that has waited so many seconds is told of")
    ] = 86_400
