"""What a decider is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from contracts.fields import Origin, PartialDate, local_date


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission, decoded. `subject` is the aggregate's id, `sequence` the number of its next event."""

    submission_id: UUID
    source: str
    event_id: str
    type: str
    subject: UUID
    tenant: str
    time: datetime
    recorded_at: datetime
    sequence: int
    data: BaseModel

    @property
    def stated_on(self) -> date:
        """The local date (giờ Việt Nam) of `time`: nothing that is stated happened after it."""
        return local_date(self.time)

    def is_before(self, day: PartialDate | None) -> bool:
        """True if the day, however it is completed, comes after what the sender could know of."""
        return day is not None and day.lo() > self.stated_on

    def origin(self) -> Origin:
        """The mark that a document made from this submission carries."""
        return Origin(
            source=self.source,
            event_id=self.event_id,
            submission_id=self.submission_id,
            stated_on=self.stated_on,
            received_at=self.recorded_at,
            sequence=self.sequence,
        )


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A domain event to be said: its full type and its data, the aggregate's whole state."""

    type: str
    data: BaseModel


@dataclass(frozen=True, slots=True)
class Decision:
    """Applied: the state from now on, and what is said of it."""

    state: BaseModel
    events: tuple[NewEvent, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rule of the programme is broken; `pointer` is relative to the event ("/data/owner")."""

    code: str
    pointer: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waits:
    """Something that is not known yet is named; `reference` is its id."""

    reference: UUID
    code: str
    pointer: str
    params: Mapping[str, Any] = field(default_factory=dict)
