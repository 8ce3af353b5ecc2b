"""The published figures (số liệu công bố) that the national ones must equal: each a question and its answer.

A question is `GET /v1/figures/{indicator}?at=&map=&province=&by=&…`. Counts and percentages are the source's
own, or their sum or remainder where the source or the title says so; `uncertain` follows from how exactly the
source dates its acts.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal

Indicator = Literal["products", "owners", "recognitions", "online"]
Rounding = Literal["cut", "half-up"]


@dataclass(frozen=True, slots=True)
class Share:
    """An exact ratio, the percentage printed for it, and how that one was rounded."""

    numerator: int
    denominator: int
    percent: str
    rounding: Rounding


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of the dimension that the figure is broken down by. `value` is the one on the wire."""

    value: str
    title_vi: str
    title_en: str
    count: int
    uncertain: int = 0
    share: Share | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    title_vi: str
    title_en: str
    indicator: Indicator
    province: tuple[str, str]  # (catalogue, code): code 80 is Long An in one and Tây Ninh in the other
    at: date
    map: Literal["2004", "2025"]
    count: int
    source_vi: str
    source_en: str
    uncertain: int = 0
    by: str | None = None
    cells: tuple[Cell, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()  # a name given twice takes either value
    not_attributable: int = 0
    share: Share | None = None


def rounded(share: Share) -> str:
    """The percentage of the exact ratio, with as many decimals as the printed one and rounded as named."""
    exact = Decimal(100) * share.numerator / share.denominator
    mode = ROUND_DOWN if share.rounding == "cut" else ROUND_HALF_UP
    return str(exact.quantize(Decimal(share.percent), mode))


DONG_THAP = ("báo chí tỉnh, đầu năm 2024", "provincial press, early 2024")
LONG_AN = ("báo chí tỉnh, số liệu đến hết năm 2024", "provincial press, figures to the end of 2024")
TAY_NINH = ("báo chí tỉnh, số liệu đến 14/3/2025", "provincial press, figures to 14 March 2025")
SOC_TRANG = ("báo chí tỉnh, không ghi ngày", "provincial press, undated")
THAI_BINH = ("báo chí tỉnh, tháng 11/2023", "provincial press, November 2023")
MERGED = ("cộng từ số của Long An và Tây Ninh", "sum of the figures of Long An and Tây Ninh")
ACTS = (
    "3981/QĐ-UBND (05/8/2026), 858/QĐ-UBND (19/6/2025), báo chí 26/6/2025",
    "Decisions 3981/QĐ-UBND (5 Aug 2026) and 858/QĐ-UBND (19 Jun 2025), press of 26 Jun 2025",
)


def figures() -> list[Figure]:
    """Every published figure, province by province, on the map of its time and then on today's."""
    return [
        *_dong_thap(),
        *_long_an(),
        *_tay_ninh(),
        *_soc_trang(),
        *_thai_binh(),
        *_lam_dong(),
    ]


def _dong_thap() -> list[Figure]:
    old, new, at = ("2004", "87"), ("2025", "82"), date(2023, 12, 31)
    first = Cell("first", "công nhận lần đầu", "first recognised", 139)
    again = Cell("renewed", "đánh giá lại", "renewed", 56)
    online = Share(370, 453, "81.67", "cut")
    both = (("owner_kind", "cooperative"), ("owner_kind", "cooperative_group"))
    kinds = (
        Cell("cooperative", "hợp tác xã", "cooperatives", 12),
        Cell("cooperative_group", "tổ hợp tác", "cooperative groups", 1),
        Cell("not_stated", "không nêu loại hình (phần còn lại)", "kind not stated (the rest)", 162),
    )
    return [
        Figure(*PRODUCTS, "products", old, at, "2004", 453, *DONG_THAP),
        Figure(*OWNERS, "owners", old, at, "2004", 175, *DONG_THAP, by="owner_kind", cells=kinds),
        Figure(
            "Sản phẩm của hợp tác xã và tổ hợp tác",
            "Products of cooperatives and cooperative groups",
            "products",
            old,
            at,
            "2004",
            21,
            *DONG_THAP,
            filters=both,
        ),
        Figure(
            "Lượt công nhận trong năm 2023",
            "Acts of recognition in 2023",
            "recognitions",
            old,
            at,
            "2004",
            195,
            *DONG_THAP,
            filters=(("year", "2023"),),
            by="occasion",
            cells=(first, again),
        ),
        Figure(
            "Sản phẩm bán trên sàn thương mại điện tử",
            "Products sold online",
            "online",
            old,
            at,
            "2004",
            370,
            *DONG_THAP,
            share=online,
        ),
        Figure(*PRODUCTS, "products", new, at, "2025", 453, *DONG_THAP),
    ]


def _long_an() -> list[Figure]:
    old, at = ("2004", "80"), date(2024, 12, 31)
    groups = (
        Cell("food", "thực phẩm", "food", 182),
        Cell("drink", "đồ uống", "drinks", 30),
        Cell("medicinal", "dược liệu", "medicinal plants", 8),
        Cell("craft", "thủ công mỹ nghệ", "crafts", 11),
        Cell("ornamental", "sinh vật cảnh", "ornamentals", 4),
    )
    kinds = (
        _kind("enterprise", 24, share=Share(24, 108, "22.2", "half-up")),
        _kind("cooperative", 15, share=Share(15, 108, "13.9", "half-up")),
        _kind("household_or_establishment", 69, share=Share(69, 108, "63.9", "half-up")),
    )
    return [
        Figure(
            *PRODUCTS,
            "products",
            old,
            at,
            "2004",
            235,
            *LONG_AN,
            by="stars",
            cells=_stars({4: 49, 3: 186}),
        ),
        Figure(*PRODUCTS, "products", old, at, "2004", 235, *LONG_AN, by="group", cells=groups),
        Figure(
            "Lượt công nhận trong năm 2024",
            "Acts of recognition in 2024",
            "recognitions",
            old,
            at,
            "2004",
            87,
            *LONG_AN,
            filters=(("year", "2024"),),
            by="stars",
            cells=_stars({4: 9, 3: 78}),
        ),
        Figure(*OWNERS, "owners", old, at, "2004", 108, *LONG_AN, by="owner_kind", cells=kinds),
    ]


def _tay_ninh() -> list[Figure]:
    before, after = date(2025, 3, 14), date(2025, 7, 1)
    own, both = _stars({5: 1, 4: 42, 3: 96}), _stars({5: 1, 4: 91, 3: 282})
    old, new = ("2004", "72"), ("2025", "80")
    return [
        Figure(*PRODUCTS, "products", old, before, "2004", 139, *TAY_NINH, by="stars", cells=own),
        Figure(*PRODUCTS, "products", new, before, "2025", 374, *MERGED, by="stars", cells=both),
        Figure(*PRODUCTS, "products", new, after, "2025", 374, *MERGED, by="stars", cells=both),
    ]


def _soc_trang() -> list[Figure]:
    # No date was published: 30/6/2025 is the last day of Sóc Trăng, and the report's own.
    old, new, at = ("2004", "94"), ("2025", "92"), date(2025, 6, 30)
    stars = _stars({5: 1, 4: 19, 3: 169}, all_uncertain=True)
    kinds = (
        _kind("enterprise", 20, uncertain=20),
        _kind("cooperative", 20, uncertain=20),
        _kind("household", 62, uncertain=62),
        Cell("not_stated", "không nêu loại hình (phần còn lại)", "kind not stated (the rest)", 18, 18),
    )
    return [
        Figure(*PRODUCTS, "products", old, at, "2004", 189, *SOC_TRANG, 189, by="stars", cells=stars),
        Figure(*OWNERS, "owners", old, at, "2004", 120, *SOC_TRANG, 120, by="owner_kind", cells=kinds),
        Figure(*PRODUCTS, "products", new, at, "2025", 189, *SOC_TRANG, 189),
    ]


def _thai_binh() -> list[Figure]:
    old, new, at = ("2004", "34"), ("2025", "33"), date(2023, 11, 30)
    stars = (_star(4, 48, uncertain=1), _star(3, 90))
    kinds = (_kind("enterprise", 32), _kind("cooperative", 36), _kind("household", 23))
    return [
        Figure(*PRODUCTS, "products", old, at, "2004", 138, *THAI_BINH, 1, by="stars", cells=stars),
        Figure(*OWNERS, "owners", old, at, "2004", 91, *THAI_BINH, by="owner_kind", cells=kinds),
        Figure(*PRODUCTS, "products", new, at, "2025", 138, *THAI_BINH, 1),
    ]


def _lam_dong() -> list[Figure]:
    today, before, at = ("2025", "68"), date(2025, 6, 30), date(2026, 8, 5)
    places = (Cell("60", "Bình Thuận", "Bình Thuận", 11), Cell("67", "Đắk Nông", "Đắk Nông", 5))
    return [
        Figure(*PRODUCTS, "products", today, at, "2025", 25, *ACTS),
        Figure(*OWNERS, "owners", today, at, "2025", 12, *ACTS),
        Figure(
            *PRODUCTS,
            "products",
            today,
            at,
            "2004",
            25,
            *ACTS,
            by="province",
            cells=places,
            not_attributable=9,
        ),
        Figure(*PRODUCTS, "products", today, before, "2025", 16, *ACTS, 11),
    ]


PRODUCTS = ("Sản phẩm từ 3 sao trở lên", "Products of 3 stars and more")
OWNERS = ("Chủ thể có sản phẩm từ 3 sao trở lên", "Owners of products of 3 stars and more")
_KINDS = {
    "enterprise": ("doanh nghiệp", "enterprises"),
    "cooperative": ("hợp tác xã", "cooperatives"),
    "household": ("hộ", "households"),
    "household_or_establishment": ("cơ sở hoặc hộ", "establishments or households"),
}


def _star(stars: int, count: int, uncertain: int = 0) -> Cell:
    return Cell(str(stars), f"{stars} sao", f"{stars} stars", count, uncertain)


def _stars(counts: dict[int, int], *, all_uncertain: bool = False) -> tuple[Cell, ...]:
    return tuple(_star(stars, n, n if all_uncertain else 0) for stars, n in counts.items())


def _kind(kind: str, count: int, uncertain: int = 0, share: Share | None = None) -> Cell:
    return Cell(kind, *_KINDS[kind], count, uncertain, share)
