"""What holds on which days: from the states that other services tell to intervals of local days.

A figure on day D looks up the intervals that contain D, and computes nothing more. Intervals are half-open: `day_to`
is the first day outside. `date.min` and `date.max` stand for "without limit".

What is known of a date may be a year only, so a thing can be *possible* on a day without being *certain*. The range
of a date is [lo, hi]: by its precision, at least 1/1/2018 where it is unknown, never after the local date on which it
was stated. Every choice of days from the ranges of a product's certificates is one case. The cases are independent
of each other, and then

- the certificate that stands is the newest of those that were issued by D in that case, unless it has ended;
- a product counts on D if in some case a certificate of it stands, and counts for certain if one does in every case;
- it counts once, in the cell of the newest certificate that can stand on D;
- it is in that cell for certain if in every case a certificate stands and has that value. So a product that got 4
  stars some time in 2025, while its 3 stars still run, is counted for certain all that year, but its stars are not
  certain: the uncertain of the cells may add up to more than the uncertain of the total.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise, permutations
from typing import Final, TypeVar
from uuid import UUID

from dateutil.relativedelta import relativedelta

from contracts import provinces
from contracts.evaluation import SETS, TERM_MONTHS, Recognition, RecognitionState
from contracts.fields import span
from contracts.marketplace import CLOSED_ON, ListingState
from contracts.registry import OwnerDocument, OwnerState, ProductDocument, ProductState

TERM: Final = relativedelta(months=TERM_MONTHS)
ONE_DAY: Final = timedelta(days=1)
# The kinds of owner that figures tell apart; the last three have a merged total besides, for reports often merge them.
KINDS: Final = (
    "cooperative",
    "cooperative_group",
    "enterprise",
    "household",
    "establishment",
    "household_or_establishment",
)
MERGED_KINDS: Final = KINDS[3:]

_Document = TypeVar("_Document", OwnerDocument, ProductDocument)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A recognition (công nhận) that was issued: what its dates leave open.

    Issued on one of the days `issued_lo` to `issued_hi`, both included. It has ended (expired or revoked) on no day
    before `ends_lo`, and on every day from `ends_hi` on.
    """

    recognition_ref: str
    occasion: str | None
    stars: int | None
    group: str | None
    issued_lo: date
    issued_hi: date
    ends_lo: date
    ends_hi: date
    previous_ref: str | None
    place: int  # in the order in which the acts were first stated, a correction in its act's place


@dataclass(frozen=True, slots=True)
class Issue:
    """A year in which a certificate can have been issued: since when it may count there, and since when it does."""

    year: int
    possible_from: date
    certain_from: date


@dataclass(frozen=True, slots=True)
class Standing:
    """Days on which a product counts as one of 3 stars and more, and the certificate that gives its cell.

    `certain`: in every case it counts. `stars_certain`, `group_certain`: in every case it does with that value.
    """

    day_from: date
    day_to: date
    recognition_ref: str
    stars: int | None
    group: str | None
    certain: bool
    stars_certain: bool
    group_certain: bool


@dataclass(frozen=True, slots=True)
class ProductPeriod:
    """Days on which one document of a product holds, and where these days put it on either map.

    Where a map cannot tell the province, it is None and `candidates_…` names those it can be; else they are empty.
    """

    day_from: date
    day_to: date
    owner: UUID
    name: str
    place_printed: str | None
    province_2004: str | None
    candidates_2004: tuple[str, ...]
    province_2025: str | None
    candidates_2025: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnerPeriod:
    """Days on which one document of an owner holds; `kind` is the cell that it counts in."""

    day_from: date
    day_to: date
    kind: str
    business_name: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """Days on which a product is offered on a platform (sàn), possibly or for certain. Those of one listing touch."""

    day_from: date
    day_to: date
    product: UUID
    platform: str
    certain: bool


def certificates(state: RecognitionState) -> list[Certificate]:
    """Every recognition but those that were never issued (`void`), newest first.

    Newer is what was issued later or names the other as its predecessor; where neither tells, what was first stated
    later.
    """
    left = [_certificate(r, place) for place, r in enumerate(state.recognitions) if not r.void]
    ordered = []
    while left:
        # "Later, or else stated later" alone could go round in a circle: an older one never stands before a newer.
        top = [one for one in left if not any(_newer(other, one) for other in left)] or left
        newest = max(top, key=lambda one: one.place)
        left.remove(newest)
        ordered.append(newest)
    return ordered


def issues(certificate: Certificate) -> list[Issue]:
    """The years of its issue, in order. It is certain in a year if all its days are, and then once they have passed."""
    lo, hi = certificate.issued_lo, certificate.issued_hi
    certain_from = hi if lo.year == hi.year else date.max
    return [Issue(year, max(lo, date(year, 1, 1)), certain_from) for year in range(lo.year, hi.year + 1)]


def standings(state: RecognitionState, *, superseded_returns: bool = False) -> list[Standing]:
    """The days on which the product counts: in order, without overlap, a new piece wherever anything can change.

    A newer certificate ends the older ones on its day of issue for good, also if it ends before they would have. The
    decision does not settle that: with `superseded_returns` an older one that still runs stands again.
    """
    ordered = certificates(state)
    limits = {day for c in ordered for day in (c.issued_lo, c.issued_hi, c.ends_lo, c.ends_hi)}
    for one, other in permutations(ordered, 2):
        if one.issued_lo <= other.issued_lo < one.issued_hi:
            limits.add(other.issued_lo + ONE_DAY)  # from then on it can be the newer one
    pieces = (_standing(ordered, days, superseded_returns) for days in pairwise(sorted(limits)))
    return [piece for piece in pieces if piece]


def product_periods(state: ProductState) -> list[ProductPeriod]:
    """The product's documents in the order of their days, from ever to ever, with their places on both maps.

    On the map of 2004 a place stated in the catalogue of 2025 keeps the last province of 2004 that was stated before
    it, if the new one was formed from that; a new one formed from a single old one tells it, too.
    """
    periods = []
    last_2004 = None
    for document, day_from, day_to in _in_force(state.documents):
        unit = document.place.province
        on_2004: tuple[str, ...]
        on_2025: tuple[str, ...]
        if unit.catalogue == "2004":
            last_2004 = unit.code
            on_2004, on_2025 = (unit.code,), provinces.successors(unit.code)
        else:
            forerunners = provinces.forerunners(unit.code)
            on_2004 = (last_2004,) if last_2004 in forerunners else forerunners
            on_2025 = (unit.code,)
        periods.append(
            ProductPeriod(
                day_from,
                day_to,
                document.owner.id,
                document.name,
                document.place.place_printed,
                *_one_or_candidates(on_2004),
                *_one_or_candidates(on_2025),
            )
        )
    return periods


def owner_periods(state: OwnerState) -> list[OwnerPeriod]:
    """The owner's documents in the order of their days, from ever to ever."""
    return [
        OwnerPeriod(day_from, day_to, owner_kind(document.kind), document.business_name)
        for document, day_from, day_to in _in_force(state.documents)
    ]


def owner_kind(kind: str | None) -> str:
    """The cell of a kind of owner (loại hình chủ thể): one of KINDS, `other` or `not_stated`."""
    if kind is None:
        return "not_stated"
    return kind if kind in KINDS else "other"


def offers(state: ListingState) -> list[Offer]:
    """The days on which the listing can have been online, in order: at most three pieces, the middle one certain.

    The day of delisting is outside; a platform's last day is inside.
    """
    document = max(state.documents, key=lambda d: d.origin.sequence)
    lo, hi = span(document.listed_on, document.origin.stated_on)
    ends_lo = ends_hi = date.max
    if state.delisted:
        ends_lo, ends_hi = span(state.delisted.delisted_on, state.delisted.origin.stated_on)
    if document.platform in CLOSED_ON:
        closed = CLOSED_ON[document.platform] + ONE_DAY
        ends_lo, ends_hi = min(ends_lo, closed), min(ends_hi, closed)
    return [
        Offer(day_from, day_to, document.product.id, document.platform, hi <= day_from < ends_lo)
        for day_from, day_to in pairwise(sorted({lo, hi, ends_lo, ends_hi}))
        if lo <= day_from < ends_hi
    ]


def _certificate(recognition: Recognition, place: int) -> Certificate:
    lo, hi = span(recognition.issued_on, recognition.origin.stated_on)
    until = recognition.valid_until
    ends_lo = (until.lo() if until else lo + TERM) + ONE_DAY
    ends_hi = (until.hi() if until else hi + TERM) + ONE_DAY
    if recognition.revoked:
        # The day of revocation is already invalid.
        revoked_lo, revoked_hi = span(recognition.revoked.revoked_on, recognition.revoked.origin.stated_on)
        ends_lo, ends_hi = min(ends_lo, revoked_lo), min(ends_hi, revoked_hi)
    return Certificate(
        recognition.recognition_ref,
        recognition.occasion,
        recognition.stars,
        _group(recognition),
        lo,
        hi,
        max(ends_lo, lo),
        max(ends_hi, lo),
        recognition.previous_ref,
        place,
    )


def _group(recognition: Recognition) -> str | None:
    """As the province says, else as its criteria set tells: a set is of one group (QĐ 26/2026/QĐ-TTg, Phụ lục I)."""
    of_set = (group for group, sets in SETS.items() if recognition.criteria_set in sets)
    return recognition.group or next(of_set, None)


def _newer(a: Certificate, b: Certificate) -> bool:
    """Whether `a` was certainly issued after `b`, or names it as its predecessor and the dates allow that."""
    return a.issued_lo > b.issued_hi or _names(a, b)


def _names(a: Certificate, b: Certificate) -> bool:
    return a.previous_ref == b.recognition_ref and a.issued_hi >= b.issued_lo


def _can_be_newer(a: Certificate, b: Certificate, day: date) -> bool:
    """Whether `a`, issued by that day, is newer than `b` in some case."""
    if _names(a, b) or _names(b, a):
        return _names(a, b)
    latest = min(a.issued_hi, day)
    return b.issued_lo < latest or (b.issued_lo == latest and a.place > b.place)


def _standing(ordered: Sequence[Certificate], days: tuple[date, date], superseded_returns: bool) -> Standing | None:
    """What stands on days between which nothing changes, all cases at once; `ordered`: the newest first."""
    day_from, day_to = days
    issued = [c for c in ordered if c.issued_lo <= day_from]
    # Those that are there in every case, and hide what is older.
    there = [c for c in issued if c.issued_hi <= day_from and (day_from < c.ends_lo or not superseded_returns)]
    seen = [c for c in issued if all(_can_be_newer(c, other, day_from) for other in there if other is not c)]
    seen = seen or issued[:1]  # of some that name each other in a circle
    able = [c for c in seen if day_from < c.ends_hi]
    if not able:
        return None
    always = bool(there) and (superseded_returns or all(day_from < c.ends_lo for c in seen))
    shown = able[0]
    return Standing(
        day_from,
        day_to,
        shown.recognition_ref,
        shown.stars,
        shown.group,
        certain=always,
        stars_certain=always and all(c.stars == shown.stars for c in able),
        group_certain=always and all(c.group == shown.group for c in able),
    )


def _in_force(documents: Sequence[_Document]) -> Iterator[tuple[_Document, date, date]]:
    """The documents with the days on which they hold; of two from the same day, the later stated."""
    by_day: dict[date, _Document] = {d.from_ or date.min: d for d in sorted(documents, key=lambda d: d.origin.sequence)}
    for day_from, day_to in pairwise([*sorted(by_day), date.max]):
        yield by_day[day_from], day_from, day_to


def _one_or_candidates(codes: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    return (codes[0], ()) if len(codes) == 1 else (None, tuple(sorted(codes)))
