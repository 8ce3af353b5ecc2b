"""What a decider is given."""

from datetime import UTC, date, datetime
from uuid import UUID

from contracts.decision import Rejected, Submission, Waits
from contracts.fields import Origin
from contracts.names import Ref
from contracts.registry import OwnerClosed

SUBMISSION = Submission(
    submission_id=UUID("019873d0-3c4e-7a10-9b51-5f0c6a1de202"),
    source="/provinces/2025-68/ocop",
    event_id="858-sp3",
    type="vn.ocop.province.owner.closed.v1",
    subject=UUID("a160c50d-8d64-5c72-a5a4-c5599efbdce1"),
    tenant="2025-68",
    time=datetime(2025, 6, 30, 17, 0, tzinfo=UTC),
    recorded_at=datetime(2026, 8, 5, 1, 0, 2, tzinfo=UTC),
    sequence=3,
    data=OwnerClosed(owner=Ref(namespace="2004-67", ref="CT-1")),
)


def test_it_is_stated_on_the_local_date_of_its_time() -> None:
    assert SUBMISSION.stated_on == date(2025, 7, 1)


def test_its_origin_marks_what_is_made_from_it() -> None:
    assert SUBMISSION.origin() == Origin(
        source="/provinces/2025-68/ocop",
        event_id="858-sp3",
        submission_id=SUBMISSION.submission_id,
        stated_on=date(2025, 7, 1),
        received_at=SUBMISSION.recorded_at,
        sequence=3,
    )


def test_refusals_compare_by_what_they_say() -> None:
    assert Rejected("already-closed", "/data/owner") == Rejected("already-closed", "/data/owner", {})
    assert Waits(SUBMISSION.subject, "unknown-owner", "/data/owner") != Waits(
        SUBMISSION.submission_id, "unknown-owner", "/data/owner"
    )
