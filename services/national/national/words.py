"""Vietnamese for people: the words of values, and how numbers, days and moments are written."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Final

from babel.numbers import format_decimal, format_percent

from contracts import vietnamese
from contracts.fields import VIETNAM
from contracts.provinces import PROVINCES

LOCALE: Final = "vi"

# Values come from events, where a later version may say more of them: one without words stands as it is.
STATUSES: Final = {
    "valid": "Còn hiệu lực",
    "uncertain": "Chưa chắc chắn",
    "ended": "Đã hết hiệu lực",
    "none": "Chưa được công nhận",
}
STARS: Final = {"5": "5 sao", "4": "4 sao", "3": "3 sao", "unknown": "Chưa rõ hạng sao"}
GROUPS: Final = vietnamese.GROUPS | {"unknown": "Chưa rõ ngành"}
OWNER_KINDS: Final = {
    "cooperative": "Hợp tác xã",
    "cooperative_group": "Tổ hợp tác",
    "enterprise": "Doanh nghiệp",
    "household": "Hộ sản xuất, kinh doanh",
    "establishment": "Cơ sở sản xuất",
    "household_or_establishment": "Hộ hoặc cơ sở (không tách)",
    "household_to_establishment": "Hộ và cơ sở, gộp chung",
    "other": "Loại hình khác",
    "not_stated": "Chưa nêu loại hình",
}
PLATFORMS: Final = vietnamese.PLATFORMS
OCCASIONS: Final = {
    "first": "Công nhận lần đầu",
    "renewed": "Đánh giá lại",
    "upgraded": "Nâng hạng sao",
    "unknown": "Công nhận, chưa rõ lần nào",
}
LEVELS: Final = vietnamese.LEVELS
REGIMES: Final = {
    "1048-2019": "1048/QĐ-TTg năm 2019",
    "781-2020": "781/QĐ-TTg năm 2020",
    "148-2023": "148/QĐ-TTg năm 2023",
    "1489-2025": "1489/QĐ-TTg năm 2025",
    "26-2026": "26/2026/QĐ-TTg",
}
SOURCES: Final = {"act": "Quyết định", "register": "Sổ theo dõi", "press": "Báo chí"}
CAUSES: Final = vietnamese.CAUSES
HAPPENINGS: Final = {
    "registry.product.registered": "Đăng ký sản phẩm",
    "registry.product.updated": "Cập nhật sản phẩm",
    "registry.product.discontinued": "Ngừng sản xuất",
    "evaluation.recognition.recognised": "Công nhận",
    "evaluation.recognition.renewed": "Đánh giá lại",
    "evaluation.recognition.upgraded": "Nâng hạng sao",
    "evaluation.recognition.corrected": "Đính chính công nhận",
    "evaluation.recognition.revoked": "Thu hồi công nhận",
    "marketplace.listing.listed": "Đưa lên sàn",
    "marketplace.listing.delisted": "Gỡ khỏi sàn",
}
INDICATORS: Final = {
    "products": "sản phẩm từ 3 sao trở lên",
    "owners": "chủ thể có sản phẩm từ 3 sao trở lên",
    "recognitions": "lượt công nhận",
    "online": "sản phẩm bán trên sàn thương mại điện tử",
}
MAPS: Final = {"2025": "34 tỉnh, thành phố (từ 01/07/2025)", "2004": "63 tỉnh, thành phố (đến 30/06/2025)"}
# What can stand in an address, by the names of its parameters.
FIELDS: Final = {
    "at": "Ngày",
    "map": "Bản đồ",
    "q": "Tên sản phẩm",
    "province": "Tỉnh, thành phố",
    "map_province": "Tỉnh trên bản đồ",
    "stars": "Hạng sao",
    "group": "Ngành",
    "owner_kind": "Loại hình chủ thể",
    "occasion": "Lần công nhận",
    "year": "Năm công nhận",
    "platform": "Sàn",
    "status": "Trạng thái",
    "indicator": "Số liệu",
    "owner": "Chủ thể",
    "after": "Trang",
    "limit": "Số dòng mỗi trang",
}


def number(value: int) -> str:
    """26557 as 26.557."""
    return format_decimal(value, locale=LOCALE)


def share(numerator: int, denominator: int) -> str:
    """A share with one digit behind the comma, half to even; the exact one stands beside it as two numbers."""
    return format_percent(float(Fraction(numerator, denominator)), "#,##0.0%", locale=LOCALE)


def day(value: date | str) -> str:
    """dd/mm/yyyy."""
    return (date.fromisoformat(value) if isinstance(value, str) else value).strftime("%d/%m/%Y")


partial: Final = vietnamese.partial


def moment(value: datetime | str) -> str:
    """The day and the hour in Vietnam."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{read.astimezone(VIETNAM):%d/%m/%Y %H:%M}"


def province(catalogue: str, code: str) -> str:
    """The name of a province; its code where the catalogue has none."""
    found = PROVINCES.get((catalogue, code))
    return found.name if found else code


def namespace(written: str) -> str:
    """Whose a namespace is: Lâm Đồng; Đắk Nông (trước 01/07/2025)."""
    catalogue, _, code = written.partition("-")
    return province(catalogue, code) + (" (trước 01/07/2025)" if catalogue == "2004" else "")


def stars(value: int | str | None) -> str:
    """4 sao; unknown ones too."""
    written = str(value or "unknown")
    return STARS.get(written, f"{written} sao")


def unit(written: Mapping[str, str] | None) -> str:
    """The province that a document names, or nothing."""
    return province(written["catalogue"], written["code"]) if written else ""


def place(map_: str, where: Mapping[str, str | Sequence[str] | None]) -> str:
    """The province of a product on a map, or those that it can be in."""
    if where["code"]:
        return province(map_, str(where["code"]))
    return "chưa xác định: " + " hoặc ".join(province(map_, code) for code in where["candidates"] or ())


def platform(document: Mapping[str, str | None]) -> str:
    """Where a listing is: the platform, or the name that stands for another one."""
    named = str(document["platform"])
    return document.get("platform_name") or PLATFORMS.get(named, named)


def parameter(pointer: str) -> str:
    """The parameter that a problem is about: Ngày (at). One that we do not have stands as it was written."""
    name = pointer.split("/")[1] if "/" in pointer else ""
    name = "".join(sign for sign in name if sign.isprintable())
    return f"{FIELDS[name]} ({name})" if name in FIELDS else f"“{name}”"
