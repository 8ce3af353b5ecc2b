"""The two catalogues of provinces (tỉnh, thành phố trực thuộc trung ương) and how one followed the other.

Codes of the 63 units: QĐ 124/2004/QĐ-TTg, as they stood on 30/6/2025. Codes of the 34 units: QĐ
19/2025/QĐ-TTg, from 1/7/2025. The mergers: NQ 202/2025/QH15. Seven codes changed their meaning (15, 24, 44,
52, 80, 82, 91), so a code means nothing without its catalogue. Names are for people; compare codes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

LAST_DAY_OF_2004 = date(2025, 6, 30)


@dataclass(frozen=True, slots=True)
class Province:
    """A unit of one catalogue."""

    catalogue: str
    code: str
    name: str
    name_en: str


# (code, name, English name, forerunners) of each unit of 2025.
_TABLE: tuple[tuple[str, str, str, tuple[tuple[str, str, str], ...]], ...] = (
    ("01", "Hà Nội", "Ha Noi", (("01", "Hà Nội", "Ha Noi"),)),
    ("04", "Cao Bằng", "Cao Bang", (("04", "Cao Bằng", "Cao Bang"),)),
    (
        "08",
        "Tuyên Quang",
        "Tuyen Quang",
        (
            ("02", "Hà Giang", "Ha Giang"),
            ("08", "Tuyên Quang", "Tuyen Quang"),
        ),
    ),
    ("11", "Điện Biên", "Dien Bien", (("11", "Điện Biên", "Dien Bien"),)),
    ("12", "Lai Châu", "Lai Chau", (("12", "Lai Châu", "Lai Chau"),)),
    ("14", "Sơn La", "Son La", (("14", "Sơn La", "Son La"),)),
    (
        "15",
        "Lào Cai",
        "Lao Cai",
        (
            ("10", "Lào Cai", "Lao Cai"),
            ("15", "Yên Bái", "Yen Bai"),
        ),
    ),
    (
        "19",
        "Thái Nguyên",
        "Thai Nguyen",
        (
            ("06", "Bắc Kạn", "Bac Kan"),
            ("19", "Thái Nguyên", "Thai Nguyen"),
        ),
    ),
    ("20", "Lạng Sơn", "Lang Son", (("20", "Lạng Sơn", "Lang Son"),)),
    ("22", "Quảng Ninh", "Quang Ninh", (("22", "Quảng Ninh", "Quang Ninh"),)),
    (
        "24",
        "Bắc Ninh",
        "Bac Ninh",
        (
            ("24", "Bắc Giang", "Bac Giang"),
            ("27", "Bắc Ninh", "Bac Ninh"),
        ),
    ),
    (
        "25",
        "Phú Thọ",
        "Phu Tho",
        (
            ("17", "Hòa Bình", "Hoa Binh"),
            ("25", "Phú Thọ", "Phu Tho"),
            ("26", "Vĩnh Phúc", "Vinh Phuc"),
        ),
    ),
    (
        "31",
        "Hải Phòng",
        "Hai Phong",
        (
            ("30", "Hải Dương", "Hai Duong"),
            ("31", "Hải Phòng", "Hai Phong"),
        ),
    ),
    (
        "33",
        "Hưng Yên",
        "Hung Yen",
        (
            ("33", "Hưng Yên", "Hung Yen"),
            ("34", "Thái Bình", "Thai Binh"),
        ),
    ),
    (
        "37",
        "Ninh Bình",
        "Ninh Binh",
        (
            ("35", "Hà Nam", "Ha Nam"),
            ("36", "Nam Định", "Nam Dinh"),
            ("37", "Ninh Bình", "Ninh Binh"),
        ),
    ),
    ("38", "Thanh Hóa", "Thanh Hoa", (("38", "Thanh Hóa", "Thanh Hoa"),)),
    ("40", "Nghệ An", "Nghe An", (("40", "Nghệ An", "Nghe An"),)),
    ("42", "Hà Tĩnh", "Ha Tinh", (("42", "Hà Tĩnh", "Ha Tinh"),)),
    (
        "44",
        "Quảng Trị",
        "Quang Tri",
        (
            ("44", "Quảng Bình", "Quang Binh"),
            ("45", "Quảng Trị", "Quang Tri"),
        ),
    ),
    ("46", "Huế", "Hue", (("46", "Huế", "Hue"),)),
    (
        "48",
        "Đà Nẵng",
        "Da Nang",
        (
            ("48", "Đà Nẵng", "Da Nang"),
            ("49", "Quảng Nam", "Quang Nam"),
        ),
    ),
    (
        "51",
        "Quảng Ngãi",
        "Quang Ngai",
        (
            ("51", "Quảng Ngãi", "Quang Ngai"),
            ("62", "Kon Tum", "Kon Tum"),
        ),
    ),
    (
        "52",
        "Gia Lai",
        "Gia Lai",
        (
            ("52", "Bình Định", "Binh Dinh"),
            ("64", "Gia Lai", "Gia Lai"),
        ),
    ),
    (
        "56",
        "Khánh Hòa",
        "Khanh Hoa",
        (
            ("56", "Khánh Hòa", "Khanh Hoa"),
            ("58", "Ninh Thuận", "Ninh Thuan"),
        ),
    ),
    (
        "66",
        "Đắk Lắk",
        "Dak Lak",
        (
            ("54", "Phú Yên", "Phu Yen"),
            ("66", "Đắk Lắk", "Dak Lak"),
        ),
    ),
    (
        "68",
        "Lâm Đồng",
        "Lam Dong",
        (
            ("60", "Bình Thuận", "Binh Thuan"),
            ("67", "Đắk Nông", "Dak Nong"),
            ("68", "Lâm Đồng", "Lam Dong"),
        ),
    ),
    (
        "75",
        "Đồng Nai",
        "Dong Nai",
        (
            ("70", "Bình Phước", "Binh Phuoc"),
            ("75", "Đồng Nai", "Dong Nai"),
        ),
    ),
    (
        "79",
        "Hồ Chí Minh",
        "Ho Chi Minh City",
        (
            ("74", "Bình Dương", "Binh Duong"),
            ("77", "Bà Rịa - Vũng Tàu", "Ba Ria - Vung Tau"),
            ("79", "Hồ Chí Minh", "Ho Chi Minh City"),
        ),
    ),
    (
        "80",
        "Tây Ninh",
        "Tay Ninh",
        (
            ("72", "Tây Ninh", "Tay Ninh"),
            ("80", "Long An", "Long An"),
        ),
    ),
    (
        "82",
        "Đồng Tháp",
        "Dong Thap",
        (
            ("82", "Tiền Giang", "Tien Giang"),
            ("87", "Đồng Tháp", "Dong Thap"),
        ),
    ),
    (
        "86",
        "Vĩnh Long",
        "Vinh Long",
        (
            ("83", "Bến Tre", "Ben Tre"),
            ("84", "Trà Vinh", "Tra Vinh"),
            ("86", "Vĩnh Long", "Vinh Long"),
        ),
    ),
    (
        "91",
        "An Giang",
        "An Giang",
        (
            ("89", "An Giang", "An Giang"),
            ("91", "Kiên Giang", "Kien Giang"),
        ),
    ),
    (
        "92",
        "Cần Thơ",
        "Can Tho",
        (
            ("92", "Cần Thơ", "Can Tho"),
            ("93", "Hậu Giang", "Hau Giang"),
            ("94", "Sóc Trăng", "Soc Trang"),
        ),
    ),
    (
        "96",
        "Cà Mau",
        "Ca Mau",
        (
            ("95", "Bạc Liêu", "Bac Lieu"),
            ("96", "Cà Mau", "Ca Mau"),
        ),
    ),
)

# (code of 2004, code of 2025). Many to many by nature; so far every unit of 2004 went whole into one.
SUCCESSION: tuple[tuple[str, str], ...] = tuple((old[0], new) for new, _, _, olds in _TABLE for old in olds)

PROVINCES: dict[tuple[str, str], Province] = {
    (unit.catalogue, unit.code): unit
    for *new, olds in _TABLE
    for unit in (Province("2025", *new), *(Province("2004", *old) for old in olds))
}

_FORERUNNERS = {new: tuple(o for o, n in SUCCESSION if n == new) for _, new in SUCCESSION}
_SUCCESSORS = {old: tuple(n for o, n in SUCCESSION if o == old) for old, _ in SUCCESSION}


def exists(catalogue: str, code: str) -> bool:
    """Whether the catalogue has such a unit."""
    return (catalogue, code) in PROVINCES


def codes(catalogue: str) -> list[str]:
    """The codes of a catalogue, sorted."""
    return sorted(code for of, code in PROVINCES if of == catalogue)


def forerunners(code: str) -> tuple[str, ...]:
    """The units of 2004 that went into a unit of 2025; raises KeyError if there is no such unit."""
    return _FORERUNNERS[code]


def successors(code: str) -> tuple[str, ...]:
    """The units of 2025 that a unit of 2004 went into; raises KeyError if there is no such unit."""
    return _SUCCESSORS[code]
