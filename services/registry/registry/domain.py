"""What may be said of owners and products.

Both are documents that hold from a day on: the first backwards without limit, later ones from `effective_on`. A
document for an earlier day inserts history and leaves the present alone; one for a day that has a document already
takes its place, for it came later. Neither the end of an owner nor that of a product touches a certificate.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final
from uuid import UUID

from contracts.decision import Decision, NewEvent, Rejected, Submission, Waits
from contracts.fields import Origin, PartialDate, Unit
from contracts.names import Key, Ref, aggregate_id, namespaces_of
from contracts.provinces import LAST_DAY_OF_2004
from contracts.registry import (
    Closing,
    Discontinuation,
    OwnerClosed,
    OwnerDocument,
    OwnerRegistered,
    OwnerState,
    OwnerUpdated,
    ProductDiscontinued,
    ProductDocument,
    ProductRegistered,
    ProductState,
    ProductUpdated,
    StatedPlace,
)

MOST_DOCUMENTS: Final = 100  # of one subject: each of its events carries them all
OWNER: Final = "vn.ocop.registry.owner."
PRODUCT: Final = "vn.ocop.registry.product."


def decide_owner(
    state: OwnerState | None,
    submission: Submission,
    known: Mapping[UUID, str],  # noqa: ARG001  # owners name nothing
) -> Decision | Rejected | Waits:
    """What becomes of a submission about an owner (chủ thể)."""
    data = submission.data
    assert isinstance(data, OwnerRegistered | OwnerUpdated | OwnerClosed)  # the types of this aggregate
    if (foreign := _foreign(data.owner, submission, "/data/owner/namespace")) is not None:
        return foreign
    if isinstance(data, OwnerRegistered):
        if state is not None:
            return Rejected("already-registered", "/data/owner", {"ref": str(data.owner)})
        key = Key.of("owner", data.owner)
        made = OwnerState(
            id=key.id, namespace=key.namespace, ref=key.ref, documents=(_owner_document(data, submission, None),)
        )
        return _decided(made, OWNER + "registered.v1")
    if state is None:
        return Rejected("not-registered", "/data/owner", {"ref": str(data.owner)})
    if isinstance(data, OwnerUpdated):
        if (refused := _update_refused(data.effective_on, submission)) is not None:
            return refused
        if state.closed and data.effective_on > (last := _last_day(state.closed.closed_on, state.closed.origin)):
            params = {"ref": str(data.owner), "last_day": last.isoformat()}
            return Rejected("after-closing", "/data/effective_on", params)
        return _updated(state, _owner_document(data, submission, data.effective_on), OWNER + "updated.v1")
    if state.closed is not None:
        return Rejected("already-closed", "/data/owner", {"ref": str(data.owner)})
    if submission.is_before(data.closed_on):
        return Rejected("after-submission-time", "/data/closed_on", {"time": submission.stated_on.isoformat()})
    closing = Closing(closed_on=data.closed_on, origin=submission.origin())
    return _decided(state.model_copy(update={"closed": closing}), OWNER + "closed.v1")


def decide_product(
    state: ProductState | None, submission: Submission, known: Mapping[UUID, str]
) -> Decision | Rejected | Waits:
    """What becomes of a submission about a product (sản phẩm). Of its owner, existence and tenant count."""
    data = submission.data
    assert isinstance(data, ProductRegistered | ProductUpdated | ProductDiscontinued)  # this aggregate's
    if (foreign := _foreign(data.product, submission, "/data/product/namespace")) is not None:
        return foreign
    if isinstance(data, ProductRegistered):
        if state is not None:
            return Rejected("already-registered", "/data/product", {"ref": str(data.product)})
        if (unfit := _owner_unfit(data.owner, submission, known)) is not None:
            return unfit
        key = Key.of("product", data.product)
        made = ProductState(
            id=key.id, namespace=key.namespace, ref=key.ref, documents=(_product_document(data, submission, None),)
        )
        return _decided(made, PRODUCT + "registered.v1")
    if state is None:
        return Rejected("not-registered", "/data/product", {"ref": str(data.product)})
    if isinstance(data, ProductUpdated):
        return _update_product(state, data, submission, known)
    if state.discontinued is not None:
        return Rejected("already-discontinued", "/data/product", {"ref": str(data.product)})
    if submission.is_before(data.discontinued_on):
        return Rejected("after-submission-time", "/data/discontinued_on", {"time": submission.stated_on.isoformat()})
    end = Discontinuation(discontinued_on=data.discontinued_on, origin=submission.origin())
    return _decided(state.model_copy(update={"discontinued": end}), PRODUCT + "discontinued.v1")


def _update_product(
    state: ProductState, data: ProductUpdated, submission: Submission, known: Mapping[UUID, str]
) -> Decision | Rejected | Waits:
    if (refused := _update_refused(data.effective_on, submission)) is not None:
        return refused
    end = state.discontinued
    if end and data.effective_on > (last := _last_day(end.discontinued_on, end.origin)):
        params = {"ref": str(data.product), "last_day": last.isoformat()}
        return Rejected("after-discontinuation", "/data/effective_on", params)
    # A code means nothing without its catalogue, and each catalogue had its time (QĐ 19/2025/QĐ-TTg).
    catalogue = data.place.province.catalogue
    if (catalogue == "2004") != (data.effective_on <= LAST_DAY_OF_2004):
        params = {"catalogue": catalogue, "day": data.effective_on.isoformat()}
        return Rejected("place-catalogue-date", "/data/place/province/catalogue", params)
    if (unfit := _owner_unfit(data.owner, submission, known)) is not None:
        return unfit
    return _updated(state, _product_document(data, submission, data.effective_on), PRODUCT + "updated.v1")


def _updated(
    state: OwnerState | ProductState, document: OwnerDocument | ProductDocument, type_: str
) -> Decision | Rejected:
    """With this document in its place among the others."""
    kept = [other for other in state.documents if other.from_ != document.from_]
    if len(kept) == len(state.documents) >= MOST_DOCUMENTS:  # in the place of another it adds none
        return Rejected("too-many-documents", "/data/effective_on", {"max": MOST_DOCUMENTS})
    documents = tuple(sorted([*kept, document], key=lambda each: each.from_ or date.min))
    return _decided(state.model_copy(update={"documents": documents}), type_)


def _decided(state: OwnerState | ProductState, type_: str) -> Decision:
    return Decision(state, (NewEvent(type_, state),))


def _foreign(ref: Ref, submission: Submission, pointer: str) -> Rejected | None:
    """The edge has looked already; a submission that came another way must not pass."""
    if ref.namespace in namespaces_of(submission.tenant):
        return None
    return Rejected("foreign-reference", pointer, {"ref": str(ref)})


def _owner_unfit(owner: Ref, submission: Submission, known: Mapping[UUID, str]) -> Rejected | Waits | None:
    reference = aggregate_id("owner", owner)
    tenant = known.get(reference)
    if tenant is None:
        if owner.namespace not in namespaces_of(submission.tenant):
            return Rejected("foreign-reference", "/data/owner", {"ref": str(owner)})
        return Waits(reference, "unknown-owner", "/data/owner", {"ref": str(owner)})
    if tenant != submission.tenant:
        return Rejected("foreign-reference", "/data/owner", {"ref": str(owner)})
    return None


def _update_refused(effective_on: date, submission: Submission) -> Rejected | None:
    if effective_on <= submission.stated_on:
        return None
    return Rejected("after-submission-time", "/data/effective_on", {"time": submission.stated_on.isoformat()})


def _last_day(end: PartialDate | None, origin: Origin) -> date:
    """The latest day that an end can have been on, which is perhaps known in part only."""
    return min(end.hi(), origin.stated_on) if end is not None else origin.stated_on


def _owner_document(data: OwnerRegistered | OwnerUpdated, submission: Submission, since: date | None) -> OwnerDocument:
    return OwnerDocument(
        from_=since,
        kind=data.kind,
        business_name=data.business_name,
        name_is_trade_name=data.name_is_trade_name,
        tax_code=data.tax_code,
        origin=submission.origin(),
    )


def _product_document(
    data: ProductRegistered | ProductUpdated, submission: Submission, since: date | None
) -> ProductDocument:
    province = data.place.province
    return ProductDocument(
        from_=since,
        owner=Key.of("owner", data.owner),
        name=data.name,
        place=StatedPlace(
            province=Unit(catalogue=province.catalogue, code=province.code), place_printed=data.place.place_printed
        ),
        origin=submission.origin(),
    )
