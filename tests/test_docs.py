"""What papers say is there: settings, links, folders."""

import re
from pathlib import Path

import pytest
from gateway.settings import Settings as GatewaySettings
from national.settings import Settings as NationalSettings
from notifications.settings import Settings as NotificationsSettings
from pydantic_settings import BaseSettings

from servicekit.access import Tls
from servicekit.settings import Settings

ROOT = Path(__file__).parent.parent
PAPERS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("services/*/README.md"),
        *ROOT.glob("deploy/**/*.md"),
    ]
)


@pytest.mark.parametrize("settings", [Settings, Tls, GatewaySettings, NationalSettings, NotificationsSettings])
def test_every_setting_is_in_the_operators_page(settings: type[BaseSettings]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    names = {f"{settings.model_config['env_prefix']}{name.upper()}" for name in settings.model_fields}
    assert {name for name in names if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(paper: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", paper.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (paper.parent / target).exists()] == []


def test_each_service_has_its_page() -> None:
    for service in (ROOT / "services").iterdir():
        assert (service / "README.md").is_file(), service


def test_the_delivery_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", page))
    assert named
    assert {name for name in named if not (ROOT / "tests" / name).exists()} == set()
