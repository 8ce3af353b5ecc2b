"""What does not fit together in what was accepted: said where a product is read, and refused nowhere.

Services decide by their own aggregate alone, so that an act for a product that is no longer made is taken; whoever
reads the product is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from contracts.evaluation import Recognition, RecognitionState
from contracts.fields import Origin, PartialDate, span
from contracts.registry import OwnerState, ProductState
from national.domain import TERM

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "term-not-36-months": (
        "Thời hạn ghi trên giấy khác 36 tháng kể từ ngày cấp.",
        "The term printed is not 36 months from the day of issue.",
    ),
    "predecessor-not-named": (
        "Đánh giá lại hoặc nâng hạng mà không nêu lần công nhận trước.",
        "Renewed or upgraded, and the recognition before it is not named.",
    ),
    "act-after-discontinuation": (
        "Được công nhận sau ngày sản phẩm ngừng sản xuất.",
        "Recognised after the product was discontinued.",
    ),
    "listed-after-discontinuation": (
        "Được đưa lên sàn sau ngày sản phẩm ngừng sản xuất.",
        "Listed after the product was discontinued.",
    ),
    "owner-closed": (
        "Chủ thể của sản phẩm đã chấm dứt hoạt động.",
        "The product's owner has closed.",
    ),
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that does not fit. `about` names the recognition or the listing, where it is about one."""

    code: str
    about: str | None = None

    def told(self) -> dict[str, str | None]:
        """As it stands in an answer."""
        vi, en = WORDS[self.code]
        return {"code": self.code, "about": self.about, "message_vi": vi, "message_en": en}


def flags(
    product: ProductState,
    recognitions: RecognitionState | None,
    listed: Iterable[tuple[str, PartialDate | None, Origin]],
    owner: OwnerState | None,
    at: date,
) -> list[Flag]:
    """What does not fit for certain. `listed`: each listing's ref, since when, by whom; `owner`: of the day `at`."""
    found = []
    ended = _end(product.discontinued.discontinued_on, product.discontinued.origin) if product.discontinued else None
    for recognition in recognitions.recognitions if recognitions else ():
        if not recognition.void:
            found += [Flag(code, recognition.recognition_ref) for code in _of_recognition(recognition, ended)]
    for ref, listed_on, origin in listed:
        if ended is not None and span(listed_on, origin.stated_on)[0] > ended:
            found.append(Flag("listed-after-discontinuation", ref))
    if owner and owner.closed and _end(owner.closed.closed_on, owner.closed.origin) <= at:
        found.append(Flag("owner-closed"))
    return found


def _of_recognition(recognition: Recognition, ended: date | None) -> Iterator[str]:
    lo, hi = span(recognition.issued_on, recognition.origin.stated_on)
    until = recognition.valid_until
    if until and recognition.issued_on and (until.hi() < lo + TERM or until.lo() > hi + TERM):
        yield "term-not-36-months"
    if recognition.occasion in ("renewed", "upgraded") and recognition.previous_ref is None:
        yield "predecessor-not-named"
    if ended is not None and lo > ended:
        yield "act-after-discontinuation"


def _end(day: PartialDate | None, origin: Origin) -> date:
    """The day on which it has certainly ended."""
    return span(day, origin.stated_on)[1]
