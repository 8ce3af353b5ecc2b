"""Real acts (quyết định công nhận) of today's Lâm Đồng, code 68 of 2025.

In 2004 that was Lâm Đồng 68, Đắk Nông 67 and Bình Thuận 60. 25 products of 12 owners, as the acts print them:
- Decision 3981/QĐ-UBND of UBND tỉnh Lâm Đồng, 05/8/2026, 3 stars, 9 products, places of 2025;
- Decision 858/QĐ-UBND of UBND tỉnh Đắk Nông, 19/6/2025, 4 stars, 5 products, places of 2004;
- certificates of UBND tỉnh Bình Thuận of 2025, 4 stars, 11 products, known from the press (26/6/2025) only:
  no number, no day, and of one owner no commune.
The groups printed are those of the older rules: `group` stays unknown, `group_printed` has the words.
"""

from dataclasses import dataclass
from typing import Any

from ocop.history.events import Event, Reporter, owner_registered, product_registered, recognised

TIME = "2026-08-05T00:00:00+07:00"


@dataclass(frozen=True, slots=True)
class Act:
    """One act: `fields` is what it says of all its products alike."""

    key: str
    catalogue: str
    code: str
    recognition_ref: str
    fields: dict[str, Any]
    owners: tuple["Owner", ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner in an act, with its products: (name, group as printed)."""

    name: str
    kind: str
    place_printed: str | None
    products: tuple[tuple[str, str], ...]


ACTS = (
    Act(
        "3981",
        "2025",
        "68",
        "3981-2026",
        {
            "stars": 3,
            "issued_on": "2026-08-05",
            "valid_until": "2029-08-05",
            "act": {
                "number": "3981/QĐ-UBND",
                "authority_level": "province",
                "authority_printed": "UBND tỉnh Lâm Đồng",
                "authority_province": {"catalogue": "2025", "code": "68"},
            },
            "regime": "26-2026",
            "regime_printed": "26/2026/QĐ-TTg",
            "attested_from": "act",
        },
        (
            Owner(
                "Công ty TNHH Seagull",
                "enterprise",
                "phường Phan Thiết",
                (("Mắm nêm Seagull", "Thực phẩm"),),
            ),
            Owner(
                "Chi nhánh Công ty TNHH Nông Nghiệp Ceres",
                "enterprise",
                "xã Ninh Gia",
                (
                    ("Nấm Fresh Cordyceps Vietnam (Nấm tươi)", "Thảo dược"),
                    ("Nấm Cordyceps Vietnam (Nấm khô sấy thăng hoa)", "Thảo dược"),
                ),
            ),
            Owner(
                "Hợp tác xã Nông sản Hữu cơ Bechamp Đắk Nông",
                "cooperative",
                "xã Trường Xuân",
                (
                    ("beCHAMP Coffee Natural Nắng Vàng", "Đồ uống"),
                    ("beCHAMP Coffee Gu Mạnh", "Đồ uống"),
                    ("Bechamp Coffee Hòa Tan Nấm Linh Chi", "Đồ uống"),
                    ("MACCA BECHAMP", "Thực phẩm"),
                    ("beCHAMP Coffee Honey Nắng Vàng", "Đồ uống"),
                ),
            ),
            Owner(
                "Công ty TNHH Atiso Hoàng An Đà Lạt",
                "enterprise",
                "xã Lạc Dương",
                (("Cao Atiso Hoàng An", "Thảo dược"),),
            ),
        ),
    ),
    Act(
        "858",
        "2004",
        "67",
        "858-2025",
        {
            "stars": 4,
            "issued_on": "2025-06-19",
            "valid_until": "2028-06-19",
            "act": {
                "number": "858/QĐ-UBND",
                "authority_level": "province",
                "authority_printed": "UBND tỉnh Đắk Nông",
                "authority_province": {"catalogue": "2004", "code": "67"},
            },
            "regime": "148-2023",
            "regime_printed": "148/QĐ-TTg",
            "attested_from": "act",
        },
        (
            Owner(
                "Hợp tác xã Nông nghiệp và Dịch vụ Long Việt",
                "cooperative",
                "xã Quảng Trực, huyện Tuy Đức",
                (("Mắc ca Lê Anh Tuy Đức", "Thực phẩm"),),
            ),
            Owner(
                "Hợp tác xã Nông nghiệp xanh Quảng Trực",
                "cooperative",
                "xã Quảng Trực, huyện Tuy Đức",
                (("Hạt Mắc ca Mơ Nông", "Thực phẩm"),),
            ),
            Owner(
                "Công ty TNHH TM XNK Sachi Thịnh Phát",
                "enterprise",
                "phường Nghĩa Trung, thành phố Gia Nghĩa",
                (
                    ("Tiêu xanh sấy thăng hoa", "Thực phẩm"),
                    ("Trái cây sấy thăng hoa", "Thực phẩm"),
                    ("Hạt Điều rang muối", "Thực phẩm"),
                ),
            ),
        ),
    ),
    Act(
        "binh-thuan-2025",
        "2004",
        "60",
        "2025-1",
        {
            "stars": 4,
            "issued_on": "2025",
            "act": {
                "authority_level": "province",
                "authority_printed": "UBND tỉnh Bình Thuận",
                "authority_province": {"catalogue": "2004", "code": "60"},
            },
            "regime": "148-2023",
            "regime_printed": "148/QĐ-TTg",
            "attested_from": "press",
        },
        (
            Owner(
                "Công ty Cổ phần Chế biến và Xuất khẩu Nước mắm Phan Thiết - Mũi Né",
                "enterprise",
                "phường Phú Hài, thành phố Phan Thiết",
                (
                    ("Nước mắm nguyên chất cá cơm 60 độ đạm Suchi", "Thực phẩm"),
                    ("Nước mắm cá cơm nguyên chất 40 độ đạm Suchi", "Thực phẩm"),
                ),
            ),
            Owner(
                "Công ty TNHH Hải Nam Okinawa",
                "enterprise",
                None,
                (("Rong nho", "Thực phẩm"), ("Rong nho tách nước", "Thực phẩm")),
            ),
            Owner(
                "Công ty TNHH Cá Đen",
                "enterprise",
                "phường Phú Hài, thành phố Phan Thiết",
                (
                    ("Nước mắm truyền thống Cá Đen", "Thực phẩm"),
                    ("Mắm nêm có gia vị Cá Đen", "Thực phẩm"),
                ),
            ),
            Owner(
                "Công ty Cổ phần Nước mắm Phan Thiết",
                "enterprise",
                "phường Phú Hài, thành phố Phan Thiết",
                (
                    ("Nước mắm Mẫu Hoàng", "Thực phẩm"),
                    ("Mắm xay có gia vị hiệu Con Cá Vàng", "Thực phẩm"),
                    ("Nước mắm cá cơm nguyên chất 40 độ đạm Tứ Tuyệt", "Thực phẩm"),
                ),
            ),
            Owner(
                "Công ty TNHH Chăn nuôi TAFA Việt",
                "enterprise",
                "xã Trà Tân, huyện Đức Linh",
                (("Trứng gà nướng TAFA", "Thực phẩm"), ("Trứng gà tươi TAFA", "Thực phẩm")),
            ),
        ),
    ),
)


def lam_dong() -> list[Event]:
    """All that today's Lâm Đồng reports about the three acts, at one moment: the day of the last."""
    return [event for act in ACTS for event in _reported(act)]


def _reported(act: Act) -> list[Event]:
    reporter = Reporter("2025-68", f"{act.catalogue}-{act.code}", TIME)
    province = {"catalogue": act.catalogue, "code": act.code}
    owners: list[Event] = []
    products: list[Event] = []
    recognitions: list[Event] = []
    for owner_number, owner in enumerate(act.owners, 1):
        owner_ref = f"CT-{owner_number:04d}"
        owners.append(owner_registered(reporter, owner_ref, kind=owner.kind, business_name=owner.name))
        place: dict[str, Any] = {"province": province}
        if owner.place_printed:
            place["place_printed"] = owner.place_printed
        for name, group_printed in owner.products:
            number = len(products) + 1
            ref = f"SP-{number:04d}"
            products.append(product_registered(reporter, ref, owner_ref, name=name, place=place))
            recognitions.append(
                recognised(
                    reporter,
                    f"{act.key}-sp{number}",
                    ref,
                    act.recognition_ref,
                    **act.fields,
                    group_printed=group_printed,
                )
            )
    return [*owners, *products, *recognitions]
