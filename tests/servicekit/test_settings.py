"""Settings from the environment and from files of secrets."""

from pathlib import Path

import pytest

from servicekit.settings import Settings, with_password

URL = "postgresql://registry_app@db:5432/ocop_registry"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCOP_KAFKA_BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("OCOP_DATABASE_URL", URL)
    for name in ("OCOP_SECRETS", "OCOP_DATABASE_HTTP_URL", "OCOP_DATABASE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def test_without_secrets_addresses_are_as_they_are_given() -> None:
    assert (Settings().database_url, Settings().database_http_url) == (URL, "")


def test_passwords_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ocop_database_password").write_text("a/b@c\n")
    (tmp_path / "ocop_database_http_password").write_text("d")
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    monkeypatch.setenv("OCOP_DATABASE_HTTP_URL", URL.replace("_app", "_http"))
    settings = Settings()
    assert settings.database_url == "postgresql://registry_app:a%2Fb%40c@db:5432/ocop_registry"
    assert settings.database_http_url == "postgresql://registry_http:d@db:5432/ocop_registry"


def test_the_environment_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ocop_log_level").write_text("DEBUG")
    (tmp_path / "ocop_kafka_bootstrap").write_text("other:9092")
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    assert (Settings().log_level, Settings().kafka_bootstrap) == ("DEBUG", "kafka:9092")


def test_a_directory_that_is_not_there_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="is no directory"):
        Settings()


@pytest.mark.parametrize("url", ["postgresql://a:b@c/d", "postgresql://c/d", ""])
def test_a_password_goes_only_where_one_is_missing(url: str) -> None:
    assert with_password(url, "secret") == url
