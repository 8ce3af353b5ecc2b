"""The events of a product as a story: what each one stated, and which later one took its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from national import words

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `stated` is the document or the end that it brought; None: it brought none that can be told.

    `about` is the ref of the recognition or listing; `replaced_by` is the event that stated the same thing anew.
    """

    event: Told
    happening: str
    about: str | None
    stated: Told | None
    replaced_by: Told | None


def timeline(events: Sequence[Told], data: Mapping[UUID, Told]) -> list[Entry]:
    """One entry per event, in their order. `data` has the events' data, which is the subject's whole state."""
    found = [(event, *_statement(event, data[event["id"]])) for event in events]
    latest = {key: event for event, key, _, _ in found if key is not None}
    entries = []
    for event, key, about, stated in found:
        last = latest[key] if key is not None else event
        replaced_by = last if last["id"] != event["id"] else None
        happening = ".".join(event["type"].split(".")[2:5])
        entries.append(Entry(event, happening, about, stated, replaced_by))
    return entries


def said(stated: Told) -> str:
    """A document or an end in one line: what is known of it. A field that is left out is not known."""
    if "recognition_ref" in stated:
        return "lần công nhận này chưa từng được cấp" if stated.get("void") else _recognition(stated)
    if "name" in stated:
        place, since = stated["place"], stated.get("from")
        where = words.unit(place["province"]), place.get("place_printed")
        return _line(stated["name"], *where, since and f"từ {words.day(since)}")
    if "platform" in stated:
        return _line(words.platform(stated), _on("từ", stated.get("listed_on")) or "không rõ từ ngày nào")
    on = next((value for name, value in stated.items() if name.endswith("_on")), None)
    cause = stated.get("cause")
    return _line(_on("ngày", on) or "không rõ ngày", cause and words.CAUSES.get(cause, cause))


def _recognition(stated: Told) -> str:
    act, group = stated.get("act") or {}, stated.get("group")
    return _line(
        words.stars(stated.get("stars")),
        _on("cấp", stated.get("issued_on")) or "không rõ ngày cấp",
        _on("có giá trị đến", stated.get("valid_until")),
        group and words.GROUPS.get(group, group),
        act.get("number") and f"số {act['number']}",
    )


def _on(before: str, partial: str | None) -> str | None:
    """The date behind its word; a year or a month says itself that it is one."""
    return partial and f"{before} {words.partial(partial)}".replace("ngày năm", "năm").replace("ngày tháng", "tháng")


def _line(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part)


Key = tuple[Any, ...]


def _statement(event: Told, state: Told) -> tuple[Key | None, str | None, Told | None]:
    """What the event's submission stated: the key of what it is about, its ref, and the words themselves."""
    for key, about, stated in _statements(state):
        if stated["origin"]["submission_id"] == str(event["submission_id"]):
            return (event["topic"], event["subject"], *key), about, stated
    return None, None, None


def _statements(state: Told) -> Iterator[tuple[Key, str | None, Told]]:
    for recognition in state.get("recognitions", ()):
        ref = recognition["recognition_ref"]
        yield ("recognition", ref), ref, recognition
        if recognition.get("revoked"):
            yield ("revoked", ref), ref, recognition["revoked"]
    for document in state.get("documents", ()):
        # A listing has one document at a time, a product one for each day from which one holds.
        listed = "platform" in document
        yield ("document", None if listed else document.get("from")), state["ref"] if listed else None, document
    for end, about in (("discontinued", None), ("delisted", state.get("ref"))):
        if state.get(end):
            yield (end,), about, state[end]
