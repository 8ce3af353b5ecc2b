"""What became of a submission: numbered per submission, said by the service that decided it."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue

from contracts.fields import EVENT, OneOf
from contracts.names import event_id

STATES: Final = ("waiting", "applied", "rejected", "withdrawn", "failed")
# A final state beats one that is not; `failed` waits for us, so it is not final.
FINAL: Final = frozenset({"applied", "rejected", "withdrawn"})


class Outcome(BaseModel):
    """The state of a submission. `pointer` and `params` go with `code`; `event_ids` name domain events.

    An applied withdrawal names no event; its `params` name the `event_id` that it took back.
    """

    model_config = EVENT

    submission_id: UUID
    source: str
    event_id: str
    type: str
    subject: UUID
    state: Annotated[str, OneOf(*STATES, open=True)]
    code: str | None = None
    pointer: str | None = None
    params: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    event_ids: tuple[UUID, ...] = ()


def outcome_type(service: str, state: str) -> str:
    """The full name of the type, `vn.ocop.<service>.outcome.<state>.v1`."""
    return f"vn.ocop.{service}.outcome.{state}.v1"


def outcome_id(submission_id: UUID, service: str, number: int) -> UUID:
    """The id of the `number`th outcome of a submission."""
    return event_id(submission_id, service, f"outcome/{number}")
