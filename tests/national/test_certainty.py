"""What a page says of a certificate and of a listing on a day."""

from datetime import date
from typing import Any

import pytest
from national import certainty
from national.domain import certificates, offers

from tests import acts
from tests.history.count import Event
from tests.history.lookup import fold
from tests.national.test_domain import act, revoked


def told(*events: Event) -> dict[str, Any]:
    """A recognition as the page has it, with its days."""
    [state] = fold(events).recognitions.values()
    (stated,), (days,) = state.recognitions, certificates(state)
    return {**stated.model_dump(mode="json"), "days": {name: getattr(days, name) for name in RANGES}}


RANGES = ("issued_lo", "issued_hi", "ends_lo", "ends_hi")
ISSUED = act("1", "2022-08-05", valid_until="2025-08-05")


@pytest.mark.parametrize(
    ("revoked_on", "at", "sign"),
    [
        ("2024-03-01", date(2024, 2, 29), "valid"),
        ("2024-03-01", date(2024, 3, 1), "revoked"),
        ("2026-01-10", date(2025, 10, 1), "ended"),
        ("2026-01-10", date(2026, 2, 1), "ended"),
        (None, date(2025, 10, 1), "ended"),
    ],
)
def test_what_has_expired_was_not_ended_by_a_later_revocation(revoked_on: str | None, at: date, sign: str) -> None:
    certificate = told(ISSUED, revoked("1", revoked_on))
    assert certainty.of_certificate(certificate, at, certificate).sign == sign


@pytest.mark.parametrize(
    ("platform", "gone", "until"),
    [
        ("sendo", "2025-06-20", "15/04/2025 (sàn đóng cửa)"),
        ("sendo", "2025-04-01", "01/04/2025"),
        ("voso", "2025-06-20", "20/06/2025"),
        ("voso", None, "đã gỡ, không rõ ngày"),
    ],
)
def test_a_listing_is_shown_up_to_its_end_or_its_platforms(platform: str, gone: str | None, until: str) -> None:
    listed = acts.listed(listed_on="2023", platform=platform)
    delisted = acts.delisted(delisted_on=gone)
    [state] = fold([listed, delisted]).listings.values()
    days = [{"from": piece.day_from, "to": piece.day_to} for piece in offers(state)]
    assert certainty.until({**state.model_dump(mode="json"), "days": days}) == until
