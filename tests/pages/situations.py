"""What pages must be able to tell, each in a product that says that it is invented."""

from datetime import date
from typing import Any

from national import domain

from contracts import provinces
from contracts.names import Ref, aggregate_id
from contracts.registry import COMPANY_LIKE
from ocop.history.events import Reporter, listed, owner_registered, product_registered, recognised
from tests import acts, submissions

AT = date(2026, 8, 5)
Event = dict[str, Any]

INVENTED = "(sản phẩm thử nghiệm)"
FISH_SAUCE = f"Nước mắm Cá Cơm {INVENTED}"
# In one name what could end an attribute, a script or a line.
HOSTILE = "<script>alert('a')</script> \"b\" & 'c' {{ 7 * 7 }}"


def events() -> list[Event]:
    """In the order in which a province would send them."""
    return [*_rich(), *_corrected(), *_void(), *_revoked(), *_never(), *_hostile()]


def id_of(ref: str) -> str:
    """The id of one of these products."""
    return str(aggregate_id("product", Ref(namespace=submissions.TENANT, ref=ref)))


def _rich() -> list[Event]:
    """Everything that a page of a product has room for."""
    by = {"authority_level": "district", "authority_printed": "UBND huyện Đắk Song", "number": "3981/QĐ-UBND"}
    by_province = {"authority_level": "province", "authority_province": {"catalogue": "2025", "code": "68"}}
    mam = {"of": "MAM"}
    return [
        submissions.owner("CT-MAM", business_name="Hợp tác xã Biển Xanh (thử nghiệm)", tax_code="0100047516"),
        _product("MAM", "CT-MAM", "Nước mắm", _place("2004", "60")),
        acts.recognised(
            "2019-1", "2019", occasion="first", stars=3, group="food", act=by, regime="1048-2019", of="MAM"
        ),
        acts.renewed("2022-1", "2022-07", previous_ref="2019-1", stars=3, group="food", **mam),
        submissions.event(
            "product.updated",
            {
                "product": submissions.ref("MAM"),
                "owner": submissions.ref("CT-MAM"),
                "name": FISH_SAUCE,
                "place": _place("2025", "68", "xã Tuy Phong"),
                "effective_on": "2025-07-01",
            },
        ),
        acts.upgraded(
            "2025-1",
            "2025-08-06",
            valid_until="2029-08-05",
            stars=4,
            group="food",
            group_printed="Gia vị",
            act=by_province | {"number": "858/QĐ-UBND"},
            regime="148-2023",
            attested_from="act",
            **mam,
        ),
        acts.listed("NY-MAM-1", "2023", of="MAM", platform="sendo"),
        acts.listed("NY-MAM-2", "2024-05", of="MAM", platform="voso", url="https://voso.vn/san-pham/nuoc-mam-1"),
        acts.delisted("NY-MAM-2", "2026-01-15"),
        acts.listed("NY-MAM-3", of="MAM", platform="other", platform_name="Sàn thử nghiệm"),
    ]


def _corrected() -> list[Event]:
    """A wrong number of stars, mended."""
    return [
        submissions.owner("CT-SUA"),
        _product("SUA", "CT-SUA", "Cà phê bột"),
        acts.recognised("2024-1", "2024-11-20", stars=5, group="food", of="SUA"),
        acts.corrected("2024-1", "2024-11-02", stars=4, group="drink", of="SUA"),
    ]


def _void() -> list[Event]:
    """A recognition that never was."""
    return [
        _product("HUY", "CT-SUA", "Chè dây"),
        acts.recognised("2023-1", "2023-03-01", stars=3, group="drink", of="HUY"),
        acts.corrected("2023-1", "2023-03-01", stars=3, group="drink", void=True, of="HUY"),
    ]


def _revoked() -> list[Event]:
    """Revoked, its owner closed, its making ended."""
    return [
        submissions.owner("CT-THU", kind="household", business_name=None),
        _product("THU", "CT-THU", "Mật ong"),
        acts.recognised("2025-9", "2025-02-10", stars=3, group="food", of="THU"),
        acts.revoked("2025-9", "2026-03", cause="dd", of="THU"),
        submissions.event("product.discontinued", {"product": submissions.ref("THU"), "discontinued_on": "2026"}),
        submissions.event("owner.closed", {"owner": submissions.ref("CT-THU"), "closed_on": "2026-02"}),
    ]


def _never() -> list[Event]:
    """Registered only; and one whose dates and stars nobody knows."""
    return [
        _product("CHUA", "CT-SUA", "Gạo ST25"),
        _product("MO", "CT-SUA", "Tương ớt"),
        acts.recognised("x", of="MO"),
    ]


def _hostile() -> list[Event]:
    return [_product("LA", "CT-SUA", HOSTILE), acts.recognised("1", "2025-01-01", stars=3, of="LA")]


def _product(ref: str, of: str, name: str, place: dict[str, Any] | None = None) -> Event:
    data = {
        "product": submissions.ref(ref),
        "owner": submissions.ref(of),
        "name": f"{name} {INVENTED}",
        "place": place or _place("2025", "68"),
    }
    return submissions.event("product.registered", data)


def everywhere() -> list[Event]:
    """Every number of stars in each of the 63 provinces, and every kind of owner: the longest overview there is."""
    kinds = (*domain.KINDS, "farm", None)
    found: list[Event] = []
    for number, (old, new) in enumerate(provinces.SUCCESSION):
        reporter = Reporter(f"2025-{new}", f"2004-{old}", "2025-06-30T00:00:00+07:00")
        company = kinds[number % len(kinds)] in COMPANY_LIKE
        name = {"business_name": f"Chủ thể {INVENTED}"} if company else {}
        found.append(owner_registered(reporter, "CT", kind=kinds[number % len(kinds)], **name))
        for stars in (5, 4, 3, None):
            ref = f"SP-{stars}"
            found += [
                product_registered(reporter, ref, "CT", name=f"Trà {ref} {INVENTED}", place=_place("2004", old)),
                recognised(reporter, f"{old}-{ref}", ref, "1", stars=stars, issued_on="2025"),
                listed(reporter, f"NY-{stars}", ref, platform="voso"),
            ]
    return found


def _place(catalogue: str, code: str, printed: str | None = None) -> dict[str, Any]:
    place: dict[str, Any] = {"province": {"catalogue": catalogue, "code": code}}
    return place | ({"place_printed": printed} if printed else {})
