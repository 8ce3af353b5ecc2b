"""What may stand in text: one way of writing it, nothing hidden in it, no person in it.

Persons' data is found by its form only (a phone number, a mail address, a number of twelve digits), and a name
not at all: that is what the rules on owners' kinds are for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from contracts.problems import refusal

# For patterns of JSON Schemas: signs that cannot be seen, and spaces other than the plain one. `visible`, which
# decides here, knows some more.
HIDDEN: Final = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ue000-\uf8ff\ufeff\ufff9-\ufffb"
)
# Blank letters and marks, which `str.isprintable` takes: fillers of Hangul, Khmer, Mongolian, Khitan, Braille, notes;
# and what only chooses another form of the sign before it.
_blank = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U0001d159"
    "\U000e0100-\U000e01ef]"
)
# Signs by which Vietnamese was written in TCVN3 and VNI fonts, where no Vietnamese or English word has them.
_legacy = re.compile("(?<=[A-Za-z])[\xa8\xaa\xac\xb5\xb6\xb8\xbc\xbd\xbe]|[AEOaeo]â|[Aa]ê|[AEOaeo][äå]|[AEOUYaeouy]ø")
# One sign before the @ tells it: were all of them sought, each would be looked at again from every one before it.
_mail = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_phone = re.compile(r"(?<![0-9])(?:\+84|0)[ .-]?[235789](?:[ .-]?[0-9]){8,9}(?![ .-]?[0-9])")
_personal_number = re.compile(r"(?<![0-9])(?:[0-9][ .]?){11}[0-9](?![ .]?[0-9])")
# In refs, where counters of twelve digits are common: only numbers that begin with a province's three digits.
_personal_ref = re.compile(r"0(?:0[1-9]|[1-9][0-9])[0-9]{9}|0[35789][0-9]{8}")
_other_digit = re.compile(r"(?![0-9])\d")
_house = re.compile(r"(?:^|[,;])\s*(?:[0-9]|(?:số|ngõ|ngách|hẻm|kiệt|thôn|xóm|ấp|tổ|khu phố)\s)", re.IGNORECASE)


def visible(value: str) -> str:
    """The text in NFC, if every sign of it can be seen."""
    if value.isascii():
        text = value
    else:
        text = unicodedata.normalize("NFC", value)
        if _legacy.search(text):
            raise refusal("legacy-encoding")
        if _blank.search(text):
            raise refusal("control-character")
    if not text.isprintable():
        raise refusal("control-character")
    return text


def plain(value: str, longest: int) -> str:
    """The text in NFC, if it has 1 to `longest` code points and nothing in it that must not come in."""
    text = visible(value)
    if not text:
        raise refusal("too-short")
    if len(text) > longest:
        raise refusal("too-long", max=longest)
    if text[0] == " " or text[-1] == " ":
        raise refusal("outer-space")
    return no_person(text)


def no_person(text: str) -> str:
    """The text, if it holds no mail address, phone number or personal number (số định danh cá nhân)."""
    read = _as_read(text)
    if _mail.search(read) or _phone.search(read) or _personal_number.search(read):
        raise refusal("personal-data")
    return text


def no_personal_number(code: str) -> str:
    """The code, if it is not a personal number, which serves households as their tax code."""
    if _personal_number.fullmatch(code):
        raise refusal("personal-data")
    return code


def no_person_in_ref(ref: str) -> str:
    """The ref, if it is not itself a phone number or a personal number."""
    if _personal_ref.fullmatch(ref):
        raise refusal("personal-data")
    return ref


def units_only(text: str) -> str:
    """The printed place, if it names administrative units only, not a house, lane or hamlet."""
    if _house.search(_as_read(text)):
        raise refusal("house-address")
    return text


def _as_read(text: str) -> str:
    """What people read, for searching: letters in other shapes as the plain ones, all scripts' digits as 0 to 9."""
    if text.isascii():
        return text
    return _other_digit.sub(lambda found: str(unicodedata.decimal(found[0])), unicodedata.normalize("NFKC", text))
