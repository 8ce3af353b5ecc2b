"""The services, by their three names: the process, the Python package, and the name on the wire."""

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


# In the order of an event's way.
SERVICES = (
    Service("gateway", "gateway", "gateway"),
    Service("registry", "registry", "registry"),
    Service("evaluation", "evaluation", "evaluation"),
    Service("marketplace-sync", "marketplace_sync", "marketplace"),
    Service("notifications", "notifications", "notifications"),
    Service("national", "national", "national"),
)
