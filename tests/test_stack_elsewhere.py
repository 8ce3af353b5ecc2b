"""A stack that others start: its addresses and passwords come from the environment and from files."""

import stat
from pathlib import Path

import pytest

from ocop import databases, passwords, stack
from ocop.errors import OcopError
from ocop.home import Home
from ocop.services import SERVICES


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One that others start; its passwords are made."""
    passwords.make(tmp_path / "secrets")
    for name, value in {
        "OCOP_SERVICES_URL": "http://{service}:8080",
        "OCOP_KAFKA_BOOTSTRAP": "kafka:9092",
        "OCOP_POSTGRES_URL": "postgresql://postgres@{service}-postgres:5432/postgres",
        "OCOP_SECRETS": str(tmp_path / "secrets"),
    }.items():
        monkeypatch.setenv(name, value)
    return Home(tmp_path / "home")


def test_addresses(home: Home, tmp_path: Path) -> None:
    memory = home.recall()
    secret = {name: (tmp_path / "secrets" / name).read_text() for name in passwords.names()}
    sync = databases.service("marketplace-sync")
    assert stack.kafka_bootstrap(memory) == "kafka:9092"
    assert stack.service_url(memory, stack.Instance(sync, 1)) == "http://marketplace-sync:8080"
    assert stack.database_urls(memory, sync) == tuple(
        f"postgresql://{role}:{secret[role]}@marketplace-sync-postgres:5432/ocop_marketplace" for role in sync.roles
    )
    superuser = f"postgresql://postgres:{secret['postgres']}@marketplace-sync-postgres:5432/postgres"
    assert stack.postgres_url(memory, sync) == superuser


def test_a_password_that_is_not_there_is_not_made_up(home: Home, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "national_app").unlink()
    with pytest.raises(OcopError, match="OCOP_SECRETS has no file national_app"):
        stack.application_urls(home.recall())


@pytest.mark.parametrize("variable", ["OCOP_KAFKA_BOOTSTRAP", "OCOP_POSTGRES_URL", "OCOP_SECRETS"])
def test_all_must_be_said(home: Home, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(OcopError, match=variable):
        home.recall()


def test_what_others_start_is_not_started_here(home: Home) -> None:
    with pytest.raises(OcopError, match="started by others"):
        stack.up(home, lambda _: None, {}, {})


def test_passwords_are_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    roles = [role for service in SERVICES for role in service.roles]
    assert passwords.make(directory) == [*roles, "postgres", "grafana"]
    before = {file.name: file.read_text() for file in directory.iterdir()}
    assert len(set(before.values())) == len(before)
    assert passwords.make(directory) == []
    (directory / "grafana").unlink()
    (directory / "grafana").touch()  # as a full disk leaves it
    assert passwords.make(directory) == ["grafana"]
    assert len((directory / "grafana").read_text()) == len(before["grafana"])
    before["grafana"] = (directory / "grafana").read_text()
    assert {file.name: file.read_text() for file in directory.iterdir()} == before
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
