"""Published schemas are what the models say, and never change."""

import json
import shutil
from pathlib import Path

import pytest

from contracts import generate

FILE = "vn.ocop.province.owner.closed.v1.r1.schema.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(generate.SCHEMAS, tmp_path / "schemas")
    return tmp_path / "schemas"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_published_schemas_are_in_order() -> None:
    assert generate.errors(generate.SCHEMAS) == []


def test_a_changed_file_is_seen(folder: Path) -> None:
    edit(folder / FILE, '"required": [\n  "owner"\n ]', '"required": []')
    assert generate.errors(folder) == [
        f"{FILE}: was changed after it was published",
        f"{FILE}: the model says something else; raise its revision, or make a new major type",
    ]


def test_even_a_changed_word_in_a_file_is_seen(folder: Path) -> None:
    edit(folder / FILE, "The owner ended.", "It ended.")
    assert generate.errors(folder) == [f"{FILE}: was changed after it was published"]


def test_a_change_that_hides_behind_a_new_digest_is_seen(folder: Path) -> None:
    edit(folder / FILE, "{1,64}", "{1,65}")
    listed = json.loads((folder / generate.PUBLISHED).read_text())
    listed[FILE] = generate.digest((folder / FILE).read_text())
    (folder / generate.PUBLISHED).write_text(json.dumps(listed))
    assert [error.split(":")[0] for error in generate.errors(folder)] == [FILE]


def test_a_file_that_is_gone_is_seen(folder: Path) -> None:
    (folder / FILE).unlink()
    assert [error.split("; ")[0] for error in generate.errors(folder)] == [
        f"{FILE}: published, but its file is gone",
        f"{FILE}: missing",
    ]


def test_a_gone_file_is_not_quietly_made_anew(folder: Path) -> None:
    (folder / FILE).unlink()
    generate.write(folder)
    assert not (folder / FILE).exists()


def test_a_file_that_nobody_published_is_seen(folder: Path) -> None:
    (folder / "vn.ocop.own.thing.v1.r1.schema.json").write_text("{}\n")
    assert generate.errors(folder) == [f"vn.ocop.own.thing.v1.r1.schema.json: not in {generate.PUBLISHED}"]


def test_a_changed_model_is_refused_and_the_file_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "vn.ocop.province.owner.closed.v1"
    monkeypatch.setitem(generate.TYPES, name, generate.TYPES["vn.ocop.province.listing.delisted.v1"])
    before = (folder / FILE).read_text()
    generate.write(folder)
    assert (folder / FILE).read_text() == before
    assert [error.split(": ")[0] for error in generate.errors(folder)] == [FILE]


def test_a_new_revision_is_published_beside_the_old_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generate.REVISIONS, "vn.ocop.province.owner.closed.v1", 2)
    generate.write(folder)
    assert generate.errors(folder) == []
    assert json.loads((folder / FILE.replace(".r1.", ".r2.")).read_text())["$id"].endswith(":r2")
    assert (folder / FILE).exists()


def test_words_of_a_model_may_be_mended() -> None:
    schema = {"title": "A", "properties": {"title": {"type": "string", "description": "b"}}, "examples": [1]}
    assert generate.without(schema, generate.WORDS) == {"properties": {"title": {"type": "string"}}}


def test_the_command_checks(monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(generate, "SCHEMAS", folder)
    assert generate.main(["--check"]) == 0
    edit(folder / FILE, "{1,64}", "{1,65}")
    assert generate.main(["--check"]) == 1
    assert FILE in capsys.readouterr().err
