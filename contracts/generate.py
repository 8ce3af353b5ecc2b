"""JSON Schemas of every type, from the models: `python -m contracts.generate [--check]`.

A schema that was published never changes. Without `--check`, schemas that are missing are written and entered in
`published.json`; one that is there and says something else than its model is left alone, and is an error: a
compatible growth is a new revision (`REVISIONS`) beside the old file, a break is a new type. Words (titles,
descriptions, examples) may differ from the model's, for they bind nobody.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from contracts.envelope import dataschema
from contracts.outcome import Outcome
from contracts.submission import MODELS
from contracts.topics import EVENTS, OUTCOMES

SCHEMAS: Final = Path(__file__).parent / "schemas"
PUBLISHED: Final = "published.json"

WORDS: Final = ("title", "description", "examples")

# Types whose schema has grown: their present revision. All others are in their first.
REVISIONS: Final[dict[str, int]] = {}

TYPES: Final[dict[str, type[BaseModel]]] = {
    **MODELS,
    **{name: model for name, (_, model) in EVENTS.items()},
    **dict.fromkeys(OUTCOMES, Outcome),
}


def schemas() -> dict[str, str]:
    """File name -> text of the present revision of every type's schema."""
    files = {}
    for name, model in TYPES.items():
        revision = REVISIONS.get(name, 1)
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": dataschema(name, revision),
            **without(model.model_json_schema(), ("title",)),
        }
        files[f"{name}.r{revision}.schema.json"] = json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
    return files


def errors(folder: Path) -> list[str]:
    """What is wrong with the published schemas in a folder; nothing, if they are what the models say."""
    published: dict[str, str] = json.loads((folder / PUBLISHED).read_text())
    present = {path.name: path.read_text() for path in folder.glob("*.schema.json")}
    found = [f"{name}: published, but its file is gone" for name in sorted(published.keys() - present.keys())]
    for name, text in sorted(present.items()):
        if name not in published:
            found.append(f"{name}: not in {PUBLISHED}")
        elif digest(text) != published[name]:
            found.append(f"{name}: was changed after it was published")
    for name, text in schemas().items():
        if name not in present:
            found.append(f"{name}: missing; run python -m contracts.generate")
        elif without(json.loads(text), WORDS) != without(json.loads(present[name]), WORDS):
            found.append(f"{name}: the model says something else; raise its revision, or make a new major type")
    return found


def write(folder: Path) -> None:
    """Publish what is missing. What is published already stays."""
    listed = folder / PUBLISHED
    published: dict[str, str] = json.loads(listed.read_text()) if listed.exists() else {}
    for name, text in schemas().items():
        if name not in published and not (folder / name).exists():
            (folder / name).write_text(text)
            published[name] = digest(text)
    listed.write_text(json.dumps(dict(sorted(published.items())), indent=1) + "\n")


def digest(text: str) -> str:
    """SHA-256 of a file's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def without(schema: Any, words: tuple[str, ...], names: bool = False) -> Any:
    """A schema without some keywords. `names`: the keys are names of fields or definitions, not keywords."""
    if isinstance(schema, list):
        return [without(part, words) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without(part, words, names=not names and key in ("properties", "$defs"))
        for key, part in schema.items()
        if names or key not in words
    }


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    if "--check" not in arguments:
        write(SCHEMAS)
    found = errors(SCHEMAS)
    for error in found:
        sys.stderr.write(error + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
