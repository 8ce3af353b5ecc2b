"""Recognitions and listings for tests, as a province sends them."""

from typing import Any

from tests.submissions import event, ref

Event = dict[str, Any]


def recognition(kind: str, name: str, issued_on: str | None = None, **fields: Any) -> Event:
    """`recognition.<kind>` of the recognition that a product calls so; `id_`, `time`, `of` are the event's own."""
    envelope = {key: fields.pop(key) for key in ("id_", "time", "tenant") if key in fields}
    data = {"product": ref(fields.pop("of", "SP-1")), "recognition_ref": name, "issued_on": issued_on} | fields
    return event(f"recognition.{kind}", _known(data), **envelope)


def recognised(name: str, issued_on: str | None = None, **fields: Any) -> Event:
    return recognition("recognised", name, issued_on, **fields)


def renewed(name: str, issued_on: str | None = None, **fields: Any) -> Event:
    return recognition("renewed", name, issued_on, **fields)


def upgraded(name: str, issued_on: str | None = None, **fields: Any) -> Event:
    return recognition("upgraded", name, issued_on, **fields)


def corrected(name: str, issued_on: str | None = None, **fields: Any) -> Event:
    return recognition("corrected", name, issued_on, **fields)


def revoked(name: str, revoked_on: str | None = None, **fields: Any) -> Event:
    return recognition("revoked", name, revoked_on=revoked_on, **fields)


def act(level: str | None = None, catalogue: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An act of a level, of a province."""
    province = {"catalogue": catalogue, "code": code} if catalogue else None
    return _known({"authority_level": level, "authority_province": province})


def listed(name: str = "NY-1", listed_on: str | None = None, of: str = "SP-1", **fields: Any) -> Event:
    """Offers a product on a platform, Voso if none is given."""
    envelope = {key: fields.pop(key) for key in ("id_", "time", "tenant") if key in fields}
    data = {"listing": ref(name), "product": ref(of), "platform": "voso", "listed_on": listed_on} | fields
    return event("listing.listed", _known(data), **envelope)


def delisted(name: str = "NY-1", delisted_on: str | None = None, **fields: Any) -> Event:
    envelope = {key: fields.pop(key) for key in ("id_", "time", "tenant") if key in fields}
    return event("listing.delisted", _known({"listing": ref(name), "delisted_on": delisted_on} | fields), **envelope)


def _known(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
