"""The catalogues and the succession, against what the decisions say of them as a whole."""

import unicodedata

import pytest

from contracts.provinces import PROVINCES, SUCCESSION, codes, exists, forerunners, successors

# Codes that in 2025 came to mean another province than in 2004 (code: old name, new name).
CHANGED = {
    "15": ("Yên Bái", "Lào Cai"),
    "24": ("Bắc Giang", "Bắc Ninh"),
    "44": ("Quảng Bình", "Quảng Trị"),
    "52": ("Bình Định", "Gia Lai"),
    "80": ("Long An", "Tây Ninh"),
    "82": ("Tiền Giang", "Đồng Tháp"),
    "91": ("Kiên Giang", "An Giang"),
}
UNCHANGED = {"01", "04", "11", "12", "14", "20", "22", "38", "40", "42", "46"}


def test_there_are_63_and_34() -> None:
    assert len(codes("2004")) == 63
    assert len(codes("2025")) == 34
    assert len(PROVINCES) == 97


def test_every_unit_of_2004_went_into_one_of_2025_and_none_came_from_nowhere() -> None:
    assert sorted(old for old, _ in SUCCESSION) == codes("2004")
    assert {new for _, new in SUCCESSION} == set(codes("2025"))


def test_eleven_stayed_alone_and_the_others_merged_in_twos_and_threes() -> None:
    assert {new for new in codes("2025") if forerunners(new) == (new,)} == UNCHANGED
    assert {len(forerunners(new)) for new in codes("2025")} == {1, 2, 3}


def test_a_merged_province_keeps_a_code_of_one_of_its_forerunners() -> None:
    assert all(new in forerunners(new) for new in codes("2025"))


def test_seven_codes_changed_their_meaning() -> None:
    both = set(codes("2004")) & set(codes("2025"))
    names = {code: (PROVINCES["2004", code].name, PROVINCES["2025", code].name) for code in both}
    assert {code: pair for code, pair in names.items() if pair[0] != pair[1]} == CHANGED


@pytest.mark.parametrize(("old", "new"), [("72", "80"), ("80", "80"), ("60", "68"), ("94", "92"), ("87", "82")])
def test_successors(old: str, new: str) -> None:
    assert successors(old) == (new,)
    assert old in forerunners(new)


def test_existence_needs_the_catalogue() -> None:
    assert exists("2004", "67")
    assert not exists("2025", "67")
    assert not exists("1999", "67")


def test_names_are_nfc_and_english_ones_ascii() -> None:
    for unit in PROVINCES.values():
        assert unicodedata.is_normalized("NFC", unit.name)
        assert unit.name_en.isascii()
        assert unit.name.strip() == unit.name
