"""The services, by their three names: the process, the Python package, and the name on the wire."""

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """One service; its database is ``ocop_<wire>`` and its roles ``<wire>_owner``, ``_app`` and ``_http``."""

    name: str
    package: str
    wire: str

    @property
    def database(self) -> str:
        return f"ocop_{self.wire}"

    @property
    def roles(self) -> tuple[str, str, str]:
        """Owner (migrations), application (no DDL), HTTP (sees one tenant)."""
        return f"{self.wire}_owner", f"{self.wire}_app", f"{self.wire}_http"

    @property
    def is_built(self) -> bool:
        """Whether ``python -m <package>`` would start something."""
        return (
            importlib.util.find_spec(self.package) is not None
            and importlib.util.find_spec(f"{self.package}.__main__") is not None
        )


SERVICES = (
    Service("gateway", "gateway", "gateway"),
    Service("registry", "registry", "registry"),
    Service("evaluation", "evaluation", "evaluation"),
    Service("marketplace-sync", "marketplace_sync", "marketplace"),
    Service("notifications", "notifications", "notifications"),
    Service("national", "national", "national"),
)


def built() -> tuple[Service, ...]:
    """The services that can be started, in the order of an event's way."""
    return tuple(service for service in SERVICES if service.is_built)
