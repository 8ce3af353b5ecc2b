"""The types that provinces submit, and which service decides each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from contracts import evaluation, marketplace, registry
from contracts.fields import EDGE, INSIDE, EventId
from contracts.names import Ref

PREFIX: Final = "vn.ocop.province."
WITHDRAWN: Final = PREFIX + "submission.withdrawn.v1"

# The kind and the ref of an aggregate.
Named = tuple[str, Ref]


class SubmissionWithdrawn(BaseModel):
    """Takes back an own submission that is still held. Its subject, service and key are its target's."""

    model_config = EDGE

    event_id: Annotated[EventId, Field(description="Id of the held event, of the same source.")]


@dataclass(frozen=True, slots=True)
class SubmissionType:
    """A type: who decides it, on which aggregate, what it is about, what must be known for it (or None)."""

    name: str
    service: str
    aggregate: str
    model: type[BaseModel]
    subject: Callable[[Any], Named]
    reference: Callable[[Any], Named | None]


def _owner(data: Any) -> Named:
    return "owner", data.owner


def _product(data: Any) -> Named:
    return "product", data.product


def _listing(data: Any) -> Named:
    return "listing", data.listing


def _nothing(_: Any) -> None:
    return None


_Row = tuple[str, str, type[BaseModel], Callable[[Any], Named], Callable[[Any], Named | None]]
_TYPES: tuple[_Row, ...] = (
    ("registry", "owner.registered", registry.OwnerRegistered, _owner, _nothing),
    ("registry", "owner.updated", registry.OwnerUpdated, _owner, _nothing),
    ("registry", "owner.closed", registry.OwnerClosed, _owner, _nothing),
    ("registry", "product.registered", registry.ProductRegistered, _product, _owner),
    ("registry", "product.updated", registry.ProductUpdated, _product, _owner),
    ("registry", "product.discontinued", registry.ProductDiscontinued, _product, _nothing),
    ("evaluation", "recognition.recognised", evaluation.RecognitionRecognised, _product, _product),
    ("evaluation", "recognition.renewed", evaluation.RecognitionRenewed, _product, _product),
    ("evaluation", "recognition.upgraded", evaluation.RecognitionUpgraded, _product, _product),
    ("evaluation", "recognition.corrected", evaluation.RecognitionCorrected, _product, _product),
    ("evaluation", "recognition.revoked", evaluation.RecognitionRevoked, _product, _product),
    ("marketplace", "listing.listed", marketplace.ListingListed, _listing, _product),
    ("marketplace", "listing.delisted", marketplace.ListingDelisted, _listing, _nothing),
)

# By full name. The withdrawal is not among them, for everything about it is its target's.
SUBMISSIONS: Final[dict[str, SubmissionType]] = {
    (full := f"{PREFIX}{name}.v1"): SubmissionType(full, service, name.split(".")[0], model, subject, needs)
    for service, name, model, subject, needs in _TYPES
}

# The data model of every type that the gateway takes, the withdrawal too.
MODELS: Final[dict[str, type[BaseModel]]] = {t.name: t.model for t in SUBMISSIONS.values()} | {
    WITHDRAWN: SubmissionWithdrawn
}


def decode_submission(type: str, data: bytes) -> BaseModel:  # noqa: A002 (CloudEvents calls it so)
    """The data of a submission that the gateway accepted; new fields and new values of lists go through.

    Raises KeyError for an unknown type, pydantic.ValidationError for bytes that are not of the type.
    """
    return MODELS[type].model_validate_json(data, extra="ignore", context=INSIDE)
