"""Vietnamese for people: the words of values that programs exchange as codes, and how dates are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LEVELS: Final = {"district": "Cấp huyện", "province": "Cấp tỉnh", "ministry": "Cấp bộ"}
# Phụ lục I, QĐ 26/2026/QĐ-TTg.
GROUPS: Final = {
    "food": "Thực phẩm",
    "drink": "Đồ uống",
    "medicinal": "Dược liệu và sản phẩm từ dược liệu",
    "craft": "Hàng thủ công mỹ nghệ",
    "ornamental": "Sinh vật cảnh",
    "tourism": "Dịch vụ du lịch cộng đồng, du lịch sinh thái và điểm du lịch",
}
PLATFORMS: Final = {
    "shopee": "Shopee",
    "lazada": "Lazada",
    "tiktok_shop": "TikTok Shop",
    "postmart": "Postmart",
    "voso": "Voso",
    "sendo": "Sendo",
    "other": "Sàn khác",
    "unspecified": "Sàn không nêu tên",
}
# Điều 8 khoản 1, QĐ 26/2026/QĐ-TTg.
CAUSES: Final = {cause: f"Điều 8 khoản 1 điểm {cause}" for cause in "abcde"} | {"dd": "Điều 8 khoản 1 điểm đ"}
_KINDS: Final = {
    "string": "chuỗi ký tự",
    "integer": "số nguyên",
    "boolean": "true hoặc false",
    "object": "đối tượng JSON",
    "array": "danh sách (mảng JSON)",
    "UUID": "mã định danh (UUID)",
    "YYYY-MM-DD": "ngày dạng 2025-06-19",
    "YYYY-MM-DDThh:mm:ssZ": "thời điểm dạng 2026-08-05T00:00:00+07:00",
}
_STATES: Final = {
    "unknown": "chưa có kết quả",
    "waiting": "đang chờ",
    "applied": "đã được áp dụng",
    "rejected": "không được ghi nhận",
    "withdrawn": "đã được rút",
    "failed": "gặp lỗi khi xử lý",
}

# What the params of reasons are, by their names.
_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "level": LEVELS,
    "group": GROUPS,
    "platform": PLATFORMS,
    "expected": _KINDS,
    "state": _STATES,
}
_DATES: Final = frozenset(("time", "day", "last_day", "issued_on", "began", "closed_on"))


def partial(value: str) -> str:
    """A date as well as it is known: năm 2025, tháng 06/2025, 19/06/2025."""
    parts = value.split("-")
    before = {1: "năm ", 2: "tháng "}.get(len(parts), "")
    return before + "/".join(reversed(parts))


def said(name: str, value: Any) -> Any:
    """A reason's param as a sentence says it. What has no words here, of a later version perhaps, stands as it is."""
    if name in _DATES:
        return partial(str(value))
    return _VALUES.get(name, {}).get(str(value), value)
