"""From when to when recognitions are valid, as far as their dates tell."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from dateutil.relativedelta import relativedelta

from contracts.evaluation import TERM_MONTHS, Recognition
from contracts.fields import span

ONE_DAY: Final = timedelta(days=1)
TERM: Final = relativedelta(months=TERM_MONTHS)


def valid_the_day_before(recognition: Recognition, others: Iterable[Recognition]) -> Recognition | None:
    """One of the others that certainly was valid on the day before this one was issued, whatever day that was.

    One issued later is in nobody's way: an older act inserts history.
    """
    issued_lo, issued_hi = _issue(recognition)
    first, last = issued_lo - ONE_DAY, issued_hi - ONE_DAY
    issued = [other for other in others if _issue(other)[0] <= last]
    for older in issued:
        since, at_latest = _issue(older)
        if at_latest > first or _can_have_ended(older, since, last):
            continue
        # What may have superseded it, and ended since, leaves a doubt: a superseded one does not come back.
        newer = [other for other in issued if other is not older and _issue(other)[1] >= since]
        if not any(_can_have_ended(other, max(since, _issue(other)[0]), last) for other in newer):
            return older
    return None


def _issue(recognition: Recognition) -> tuple[date, date]:
    """The first and the last day on which it can have been issued."""
    return span(recognition.issued_on, recognition.origin.stated_on)


def _can_have_ended(recognition: Recognition, issued: date, day: date) -> bool:
    """Whether it can have expired or been revoked by the end of `day`, if it was not issued before `issued`.

    Valid to the day printed, else 36 months, to the same day of the month or the month's last; that day included.
    """
    last = recognition.valid_until.lo() if recognition.valid_until else issued + TERM
    if last < day:
        return True
    revoked = recognition.revoked
    return revoked is not None and (revoked.revoked_on is None or revoked.revoked_on.lo() <= day)
