"""What may be said of listings (bán trên sàn thương mại điện tử), as provinces report them.

A listing is one offer of one product on one platform, from a day to a day; sold there again, it is another listing.
Of the product, existence and tenant count. Days may be known in part only (`PartialDate`), so a report is refused
only if it is wrong however they are completed.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from contracts.decision import Decision, NewEvent, Rejected, Submission, Waits
from contracts.marketplace import CLOSED_ON, Delisting, ListingDelisted, ListingDocument, ListingListed, ListingState
from contracts.names import Key, Ref, aggregate_id, namespaces_of

LISTING: Final = "vn.ocop.marketplace.listing."


def decide_listing(
    state: ListingState | None, submission: Submission, known: Mapping[UUID, str]
) -> Decision | Rejected | Waits:
    """What becomes of a submission about a listing. One that its own words refuse does not wait for the product."""
    data = submission.data
    assert isinstance(data, ListingListed | ListingDelisted)  # the types of this aggregate
    # The edge has looked already; a submission that came another way must not pass.
    if data.listing.namespace not in namespaces_of(submission.tenant):
        return Rejected("foreign-reference", "/data/listing/namespace", {"ref": str(data.listing)})
    if isinstance(data, ListingListed):
        return _listed(state, data, submission, known)
    return _delisted(state, data, submission)


def _listed(
    state: ListingState | None, data: ListingListed, submission: Submission, known: Mapping[UUID, str]
) -> Decision | Rejected | Waits:
    if state is not None:
        return Rejected("already-listed", "/data/listing", {"ref": str(data.listing)})
    if submission.is_before(data.listed_on):
        return Rejected("after-submission-time", "/data/listed_on", {"time": submission.stated_on.isoformat()})
    closed_on = CLOSED_ON.get(data.platform)
    if closed_on is not None and data.listed_on is not None and data.listed_on.lo() > closed_on:
        params = {"platform": data.platform, "closed_on": closed_on.isoformat()}
        return Rejected("platform-closed", "/data/listed_on", params)
    if (unfit := _product_unfit(data.product, submission, known)) is not None:
        return unfit
    document = ListingDocument(
        product=Key.of("product", data.product),
        platform=data.platform,
        platform_name=data.platform_name,
        url=data.url,
        listed_on=data.listed_on,
        origin=submission.origin(),
    )
    key = Key.of("listing", data.listing)
    made = ListingState(id=key.id, namespace=key.namespace, ref=key.ref, documents=(document,))
    return Decision(made, (NewEvent(LISTING + "listed.v1", made),))


def _delisted(state: ListingState | None, data: ListingDelisted, submission: Submission) -> Decision | Rejected:
    if state is None:
        return Rejected("not-listed", "/data/listing", {"ref": str(data.listing)})
    if state.delisted is not None:
        return Rejected("already-delisted", "/data/listing", {"ref": str(data.listing)})
    if submission.is_before(data.delisted_on):
        return Rejected("after-submission-time", "/data/delisted_on", {"time": submission.stated_on.isoformat()})
    began = state.documents[-1].listed_on
    if began is not None and data.delisted_on is not None and data.delisted_on.hi() < began.lo():
        return Rejected("ended-before-it-began", "/data/delisted_on", {"began": str(began)})
    # A day after the platform's end is taken: the listing ended with the platform, and is read so.
    end = Delisting(delisted_on=data.delisted_on, origin=submission.origin())
    made = state.model_copy(update={"delisted": end})
    return Decision(made, (NewEvent(LISTING + "delisted.v1", made),))


def _product_unfit(product: Ref, submission: Submission, known: Mapping[UUID, str]) -> Rejected | Waits | None:
    reference = aggregate_id("product", product)
    own = product.namespace in namespaces_of(submission.tenant)
    if not own or known.get(reference, submission.tenant) != submission.tenant:
        return Rejected("foreign-reference", "/data/product", {"ref": str(product)})
    if reference not in known:
        return Waits(reference, "unknown-product", "/data/product", {"ref": str(product)})
    return None
