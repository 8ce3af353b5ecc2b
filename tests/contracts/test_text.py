"""What text is taken, and for what reason it is not."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from contracts import text


def code(check: object, *arguments: object) -> str | None:
    """The reason for which it is refused, or None."""
    try:
        check(*arguments)  # type: ignore[operator]  # any of the checks under test
    except PydanticCustomError as error:
        return error.type
    return None


def wide(words: str) -> str:
    """The same in the shapes that stand beside Chinese signs."""
    return "".join(sign if sign == " " else chr(ord(sign) + 0xFEE0) for sign in words)


def in_digits(zero: int, words: str) -> str:
    """The same in the digits that begin with that one."""
    return words.translate({ord("0") + n: chr(zero + n) for n in range(10)})


# Names as they stand on acts and labels: none of them may be refused.
REAL = [
    "Mắm nêm Seagull",
    "Nấm Cordyceps Vietnam (Nấm khô sấy thăng hoa)",
    "Công ty Cổ phần Chế biến và Xuất khẩu Nước mắm Phan Thiết - Mũi Né",
    "Nước mắm nguyên chất cá cơm 60 độ đạm Suchi",
    "MACCA BECHAMP",
    "Gạo ST25® túi 5 kg",
    "Bộ ấm chén “Sen vàng” số 1/2026",
    "Trà Shan tuyết 100% & mật ong",
    "Cà phê Robusta Đắk Mil, loại I",
    "3981/QĐ-UBND",
    "Khóm Cầu Đúc 0,5 kg x 12",
    "Hợp tác xã 2-9",
    "Công ty TNHH MTV Bò Một Nắng Hai Sương 1975",
    "Café Buôn Ma Thuột",
    "Yến sào Cần Giờ 06-2025",
]

REFUSED = [
    ("", "too-short"),
    ("x" * 201, "too-long"),
    (" x", "outer-space"),
    ("x ", "outer-space"),
    ("a\x00b", "control-character"),
    ("a\tb", "control-character"),
    ("a\nb", "control-character"),
    ("a\x7fb", "control-character"),
    ("a\u00a0b", "control-character"),
    ("a\u200bb", "control-character"),
    ("a\u202eb", "control-character"),
    ("a\u2066b", "control-character"),
    ("\ufeffab", "control-character"),
    ("a\U000e0041b", "control-character"),
    ("a\ue000b", "control-character"),
    ("C\xb8 kh\xab", "legacy-encoding"),
    ("Caù khoâ Phan Thieát", "legacy-encoding"),
    ("Röôïu Baøu Ñaù", "legacy-encoding"),
    ("liên hệ a.b@example.vn", "personal-data"),
    ("ĐT 0900000000", "personal-data"),
    ("ĐT: 090.000.0000", "personal-data"),
    ("Zalo +84 90 000 00 00", "personal-data"),
    ("bàn 0283 800 0000", "personal-data"),
    ("CCCD 096000000000", "personal-data"),
    ("CCCD 096 000 000 000", "personal-data"),
    # The same in other digits and letters.
    ("ĐT " + wide("0912345678"), "personal-data"),
    (wide("+84 912 345 678"), "personal-data"),
    *((in_digits(zero, "ĐT 0912345678"), "personal-data") for zero in (0x660, 0x966, 0xE50, 0x1D7CE, 0x1D7F6)),
    ("⓪⑨①②③④⑤⑥⑦⑧", "personal-data"),
    (in_digits(0x660, "CCCD 096") + wide(" 000 ") + "000 000", "personal-data"),
    (wide("a@b.vn"), "personal-data"),
    (f"a{wide('@')}b.vn", "personal-data"),
    # Names that nobody can see, and what stands unseen between letters.
    *(
        (each.join(around), "control-character")
        for each in (
            *("\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u180b", "\u180f", "\u2800", "\u3164", "\uffa0"),
            *("\ufe00", "\ufe0f", "\U00016fe4", "\U0001d159", "\U000e0100", "\U000e01ef"),
        )
        for around in (("", ""), ("Gạo", "ST25"))
    ),
]
# Signs that are no Vietnamese, and none of them hidden: they are kept as they were written.
FOREIGN = [
    wide("ST25"),
    in_digits(0x660, "Trà số 2"),
    "Mật ong ½ lít",
    "Rượu №1",
    "한",
    "한과 ⅷ",
    "Yến sào 10² g",
    "Bánh ①",
]


@pytest.mark.parametrize("name", REAL)
def test_real_names_are_taken_as_they_are(name: str) -> None:
    assert text.plain(name, 200) == name


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_taken_stays_as_it_was_written(name: str) -> None:
    assert text.plain(name, 200) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_refused_text(value: str, reason: str) -> None:
    assert code(text.plain, value, 200) == reason


def test_length_counts_code_points_of_nfc() -> None:
    assert text.plain("Đ" * 200, 200) == "Đ" * 200
    decomposed = unicodedata.normalize("NFD", "ế" * 200)
    assert len(decomposed) == 600
    assert text.plain(decomposed, 200) == "ế" * 200


@pytest.mark.parametrize("digits", ["12345678901", "1234567890123", "8938505974193"])
def test_eleven_or_thirteen_digits_are_no_personal_number(digits: str) -> None:
    assert code(text.no_person, f"Mã {digits}") is None


@pytest.mark.parametrize(
    "place",
    ["xã Quảng Trực, huyện Tuy Đức", "Phường 4, TP. Tân An", "thị trấn Phố Ràng", "Buôn Ma Thuột", "Thống Nhất"],
)
def test_units_are_a_place(place: str) -> None:
    assert text.units_only(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "12 Lê Lợi, phường Ví Dụ",
        "Số 5 đường A, xã B",
        "xã B; ấp 3",
        "Thôn 2, xã B",
        "Tổ dân phố 4, xã B",
        wide("12") + " Lê Lợi, xã B",
    ],
)
def test_houses_and_hamlets_are_no_place(place: str) -> None:
    assert code(text.units_only, place) == "house-address"


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=250))
def test_text_that_is_taken_is_nfc_visible_and_short(value: str) -> None:
    try:
        taken = text.plain(value, 200)
    except PydanticCustomError:
        return
    assert unicodedata.is_normalized("NFC", taken)
    assert 1 <= len(taken) <= 200
    assert taken.isprintable()
    assert taken == taken.strip()
    assert text.plain(taken, 200) == taken
