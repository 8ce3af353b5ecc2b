"""What people read in Vietnamese: words instead of codes, and dates as they are written in Vietnam."""

from collections.abc import Collection
from typing import Any

import pytest

from contracts import vietnamese
from contracts.evaluation import CAUSES, LEVELS, SETS
from contracts.fields import PartialDate
from contracts.marketplace import PLATFORMS
from contracts.outcome import STATES
from contracts.problems import _KINDS
from contracts.reasons import words


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (vietnamese.LEVELS, LEVELS),
        (vietnamese.GROUPS, SETS),
        (vietnamese.PLATFORMS, PLATFORMS),
        (vietnamese.CAUSES, CAUSES),
        (vietnamese._KINDS, set(_KINDS.values())),
        (vietnamese._STATES, ("unknown", *STATES)),
    ],
)
def test_every_value_has_words(table: dict[str, str], values: Collection[str]) -> None:
    assert table.keys() == set(values)


@pytest.mark.parametrize(
    ("code", "params", "vi", "en"),
    [
        ("authority-not-competent", {"level": "district", "stars": 4}, "Cấp huyện không có", "level district cannot"),
        ("set-of-another-group", {"set": 14, "group": "food"}, "ngành Thực phẩm.", "the group food."),
        (
            "platform-closed",
            {"platform": "sendo", "closed_on": "2025-04-15"},
            "Sàn Sendo đã đóng cửa ngày 15/04/2025.",
            "The platform sendo closed on 2025-04-15.",
        ),
        ("not-held", {"state": "applied"}, "(hiện nay: đã được áp dụng)", "(it is: applied)"),
        ("wrong-type", {"expected": "string"}, "phải là chuỗi ký tự.", "must be: string."),
        ("after-submission-time", {"time": "2026-08-05"}, "(05/08/2026)", "(2026-08-05)"),
        ("place-catalogue-date", {"catalogue": "2004", "day": "2025-07-01"}, "danh mục 2004", "for 2025-07-01"),
        ("place-catalogue-date", {"catalogue": "2004", "day": "2025-07-01"}, "ngày 01/07/2025", "of 2004"),
        ("ends-before-issue", {"issued_on": PartialDate("2025")}, "(năm 2025)", "2025"),
        ("ended-before-it-began", {"began": "2025-06"}, "(tháng 06/2025)", "on 2025-06"),
        ("after-closing", {"ref": "2025-68/CT-1", "last_day": "2025-12-31"}, "ngày 31/12/2025", "on 2025-12-31"),
        ("after-discontinuation", {"ref": "2025-68/SP-1", "last_day": "2025-12-31"}, "31/12/2025", "on 2025-12-31"),
        # What the sender has to write stands as he writes it.
        ("bad-value", {"allowed": "district, province, ministry"}, "district, province, ministry", "district, pro"),
        ("bad-pattern", {"example": "2025-06"}, "2025-06", "2025-06"),
        ("subject-mismatch", {"expected": "2025-68/SP-1"}, "(2025-68/SP-1)", "(2025-68/SP-1)"),
        # Said by a later version.
        ("authority-not-competent", {"level": "commune", "stars": 3}, "commune không có", "level commune"),
        ("platform-closed", {"platform": ["x"], "closed_on": None}, "Sàn ['x']", "The platform ['x']"),
    ],
)
def test_a_sentence_has_words_in_vietnamese_and_codes_in_english(
    code: str, params: dict[str, Any], vi: str, en: str
) -> None:
    found = words(code, params)
    assert vi in found["message_vi"]
    assert en in found["message_en"]
