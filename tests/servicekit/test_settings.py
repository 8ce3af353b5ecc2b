"""Settings from the environment and from files of secrets."""

from pathlib import Path
from urllib.parse import quote

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


def test_passwords_stay_in_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ocop_database_password", "ocop_database_http_password"):
        (tmp_path / name).write_text("secret")
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    monkeypatch.setenv("OCOP_DATABASE_HTTP_URL", URL.replace("_app", "_http") + "?sslmode=require")
    settings = Settings()
    file = quote(str(tmp_path), safe="")
    assert settings.database_url == f"{URL}?password_file={file}%2Focop_database_password"
    http = settings.database_http_url
    assert http.endswith(f"?sslmode=require&password_file={file}%2Focop_database_http_password")


def test_files_may_be_links_as_a_clusters_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "..2026_1").mkdir()
    (tmp_path / "..data").symlink_to("..2026_1")
    for name, said in (("ocop_database_url", URL), ("ocop_database_password", "secret")):
        (tmp_path / "..2026_1" / name).write_text(said)
        (tmp_path / name).symlink_to(f"..data/{name}")
    monkeypatch.delenv("OCOP_DATABASE_URL")
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    settings = Settings()
    assert settings.database_password == "secret"
    assert settings.database_url.endswith("%2Focop_database_password"), "the name that stays"


def test_a_password_of_the_environment_goes_before_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ocop_database_password").write_text("secret")
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    monkeypatch.setenv("OCOP_DATABASE_PASSWORD", "a/b@c")
    assert Settings().database_url == URL.replace("_app", "_app:a%2Fb%40c")


def test_an_address_that_has_a_password_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ocop_database_password").write_text("secret")
    (tmp_path / "ocop_database_url").write_text(URL.replace("_app", "_app:its-own"))
    monkeypatch.delenv("OCOP_DATABASE_URL")
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    assert Settings().database_url == URL.replace("_app", "_app:its-own")


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
