"""Invented owners and products (minh họa), standing where a province published nothing but counts.

Their names say that they are invented, so that nobody takes one for a real producer.
"""

from collections.abc import Iterable

from ocop.history.events import Event, Reporter, owner_registered, product_registered

_WORD = {
    "cooperative": "Hợp tác xã",
    "cooperative_group": "Tổ hợp tác",
    "enterprise": "Doanh nghiệp",
    "household": "Hộ",
    "household_or_establishment": "Hộ hoặc cơ sở",
    None: "Chủ thể",
}
# Of these a full name could be a person's: the contract takes a trade name only, and wants that said.
_PERSON_LIKE = {"household", "household_or_establishment", None}


def owner_ref(number: int) -> str:
    return f"CT-{number:03d}"


def product_ref(number: int) -> str:
    return f"SP-{number:03d}"


def owners(reporter: Reporter, province: str, kinds: Iterable[str | None]) -> list[Event]:
    """One owner per kind given, numbered from 1; None = the kind was not published."""
    return [
        owner_registered(
            reporter,
            owner_ref(number),
            kind=kind,
            business_name=f"{_WORD[kind]} minh họa {number:03d} ({province})",
            name_is_trade_name=True if kind in _PERSON_LIKE else None,
        )
        for number, kind in enumerate(kinds, 1)
    ]


def product(reporter: Reporter, province: str, number: int, owner: int, name: str | None = None) -> Event:
    """One product, placed in the province that its namespace names; `name` only if it is a real one."""
    catalogue, code = reporter.namespace.split("-")
    return product_registered(
        reporter,
        product_ref(number),
        owner_ref(owner),
        name=name or f"Sản phẩm minh họa {number:03d} ({province})",
        place={"province": {"catalogue": catalogue, "code": code}},
    )


def dealt(number: int, first: int, count: int) -> int:
    """Whose the product is when products 1, 2, 3 … go in turn to `count` owners, the first being `first`."""
    return first + (number - 1) % count
