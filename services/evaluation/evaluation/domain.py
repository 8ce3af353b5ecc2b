"""What may be said of a product's recognitions (công nhận), as provinces attest them.

An act is judged by itself and by the product's other recognitions; of the product, existence and tenant count. Dates
may be known in part only (`PartialDate`), so an act is refused only if it is wrong however they are completed. What
merely looks odd is taken, and flagged where it is read.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from contracts import provinces
from contracts.decision import Decision, NewEvent, Rejected, Submission, Waits
from contracts.evaluation import (
    Recognition,
    RecognitionCorrected,
    RecognitionRecognised,
    RecognitionRenewed,
    RecognitionRevoked,
    RecognitionState,
    RecognitionUpgraded,
    Revocation,
    StatedAct,
)
from contracts.fields import PartialDate
from contracts.names import Key, Ref, aggregate_id, namespaces_of
from evaluation.validity import valid_the_day_before

# The types of submissions, and what is said when one is applied.
SAID: Final = {
    RecognitionRecognised: "vn.ocop.evaluation.recognition.recognised.v1",
    RecognitionRenewed: "vn.ocop.evaluation.recognition.renewed.v1",
    RecognitionUpgraded: "vn.ocop.evaluation.recognition.upgraded.v1",
    RecognitionCorrected: "vn.ocop.evaluation.recognition.corrected.v1",
    RecognitionRevoked: "vn.ocop.evaluation.recognition.revoked.v1",
}
# Levels that cannot give so many stars under any regime (QĐ 26/2026/QĐ-TTg, Điều 3; 148/QĐ-TTg).
NOT_COMPETENT: Final = {5: ("province", "district"), 4: ("district",)}

MOST_RECOGNITIONS: Final = 100  # of one product, each for 36 months: each of its events carries them all
Issued = RecognitionRecognised | RecognitionRenewed | RecognitionUpgraded


def decide_recognition(
    state: RecognitionState | None, submission: Submission, known: Mapping[UUID, str]
) -> Decision | Rejected | Waits:
    """What becomes of a submission about the recognitions of a product.

    One that its province's own words refuse does not wait for the product first.
    """
    data = submission.data
    assert isinstance(data, Issued | RecognitionCorrected | RecognitionRevoked)  # the types of this aggregate
    if (foreign := _foreign(data.product, submission, known)) is not None:
        return foreign
    found = {each.recognition_ref: each for each in state.recognitions} if state else {}
    told = _told(data, submission, found)
    if isinstance(told, Rejected):
        return told
    product = Key.of("product", data.product)
    if product.id not in known:
        return Waits(product.id, "unknown-product", "/data/product", {"ref": str(data.product)})
    found[told.recognition_ref] = told
    made = RecognitionState(product=product, recognitions=tuple(found.values()))
    return Decision(made, (NewEvent(SAID[type(data)], made),))


def _foreign(ref: Ref, submission: Submission, known: Mapping[UUID, str]) -> Rejected | None:
    """The edge has looked already; a submission that came another way must not pass."""
    if ref.namespace not in namespaces_of(submission.tenant):
        return Rejected("foreign-reference", "/data/product/namespace", {"ref": str(ref)})
    if known.get(aggregate_id("product", ref), submission.tenant) != submission.tenant:
        return Rejected("foreign-reference", "/data/product", {"ref": str(ref)})
    return None


def _told(
    data: Issued | RecognitionCorrected | RecognitionRevoked, submission: Submission, found: Mapping[str, Recognition]
) -> Recognition | Rejected:
    """The recognition as it is from now on."""
    before = found.get(data.recognition_ref)
    if isinstance(data, Issued):
        return _issued(data, submission, found)
    # What was never issued can be mended, not revoked.
    if before is None or (before.void and isinstance(data, RecognitionRevoked)):
        return Rejected("unknown-recognition", "/data/recognition_ref", {"recognition_ref": data.recognition_ref})
    if isinstance(data, RecognitionCorrected):
        return _corrected(data, submission, before, found)
    return _revoked(data, submission, before)


# -------------------------------------------------------------------- issued


def _issued(data: Issued, submission: Submission, found: Mapping[str, Recognition]) -> Recognition | Rejected:
    if data.recognition_ref in found:
        return Rejected("recognition-exists", "/data/recognition_ref", {"recognition_ref": data.recognition_ref})
    if len(found) >= MOST_RECOGNITIONS:
        return Rejected("too-many-recognitions", "/data/recognition_ref", {"max": MOST_RECOGNITIONS})
    fields = data.model_dump(exclude={"product"})
    if isinstance(data, RecognitionRenewed):
        fields["occasion"] = "renewed"
    elif isinstance(data, RecognitionUpgraded):
        fields["occasion"] = "upgraded"
    recognition = Recognition(**fields, basis="attested", origin=submission.origin())
    if (refused := _act_refused(recognition, submission)) is not None:
        return refused
    if recognition.previous_ref is not None and _predecessor(recognition, found) is None:
        return Rejected("previous-unknown", "/data/previous_ref", {"recognition_ref": recognition.previous_ref})
    if (refused := _upgrade_refused(recognition, found)) is not None:
        return refused
    if isinstance(data, RecognitionRecognised):
        others = [other for other in found.values() if not other.void]
        if (valid := valid_the_day_before(recognition, others)) is not None:
            return Rejected("still-valid", "/data/issued_on", {"recognition_ref": valid.recognition_ref})
    return recognition


def _act_refused(recognition: Recognition, submission: Submission) -> Rejected | None:
    """What the act itself says that cannot be."""
    if submission.is_before(recognition.issued_on):
        return Rejected("after-submission-time", "/data/issued_on", {"time": submission.stated_on.isoformat()})
    level = recognition.act.authority_level if recognition.act else None
    if level is not None and level in NOT_COMPETENT.get(recognition.stars or 0, ()):
        params = {"level": level, "stars": recognition.stars}
        return Rejected("authority-not-competent", "/data/act/authority_level", params)
    return _authority_abolished(recognition.act, recognition.issued_on)


def _authority_abolished(act: StatedAct | None, day: PartialDate | None) -> Rejected | None:
    """Districts, and provinces that were merged, acted for the last time on 30/6/2025 (NQ 202/2025/QH15)."""
    if act is None or day is None or day.lo() <= provinces.LAST_DAY_OF_2004:
        return None
    if act.authority_level == "district":
        return Rejected("authority-abolished", "/data/act/authority_level")
    unit = act.authority_province
    if unit is not None and unit.catalogue == "2004" and act.authority_level != "ministry" and _merged(unit.code):
        return Rejected("authority-abolished", "/data/act/authority_province")
    return None


def _merged(code: str) -> bool:
    """True of a unit of 2004 that is not simply a unit of 2025, as Hà Nội is."""
    return not provinces.successors(code) == (code,) == provinces.forerunners(code)


def _predecessor(recognition: Recognition, found: Mapping[str, Recognition]) -> Recognition | None:
    """The one that it names, unless that was never issued."""
    previous = found.get(recognition.previous_ref or "")
    return None if previous is None or previous.void else previous


def _upgrade_refused(recognition: Recognition, found: Mapping[str, Recognition]) -> Rejected | None:
    """Upgraded (nâng hạng) means more stars, where both are known; a re-evaluation may give fewer."""
    previous = _predecessor(recognition, found)
    if recognition.occasion != "upgraded" or previous is None or recognition.stars is None or previous.stars is None:
        return None
    if recognition.stars > previous.stars:
        return None
    return Rejected("not-more-stars", "/data/stars", {"before": previous.stars})


# -------------------------------------------------------------------- corrected, revoked


def _corrected(
    data: RecognitionCorrected, submission: Submission, before: Recognition, found: Mapping[str, Recognition]
) -> Recognition | Rejected:
    """The document anew; occasion, predecessor and revocation are the act's own and stay."""
    kept = {"occasion": before.occasion, "previous_ref": before.previous_ref, "revoked": before.revoked}
    fields = data.model_dump(exclude={"product", "void"})
    void = bool(data.void)
    recognition = Recognition(**fields, **kept, void=void, basis="attested", origin=submission.origin())
    if void:
        return recognition  # of what was never issued nothing can be wrong
    # Whether another was valid is not asked again: history that was inserted since may stand before it.
    refused = _act_refused(recognition, submission) or _upgrade_refused(recognition, found)
    if refused is None and before.revoked is not None:
        refused = _ended_before(before.revoked.revoked_on, recognition.issued_on, "/data/issued_on")
    return refused or recognition


def _revoked(data: RecognitionRevoked, submission: Submission, before: Recognition) -> Recognition | Rejected:
    if before.revoked is not None:
        return Rejected("already-revoked", "/data/recognition_ref", {"recognition_ref": data.recognition_ref})
    if submission.is_before(data.revoked_on):
        return Rejected("after-submission-time", "/data/revoked_on", {"time": submission.stated_on.isoformat()})
    fields = data.model_dump(exclude={"product", "recognition_ref"})
    revocation = Revocation(**fields, origin=submission.origin())
    refused = _authority_abolished(revocation.act, revocation.revoked_on)
    refused = refused or _ended_before(data.revoked_on, before.issued_on, "/data/revoked_on")
    return refused or before.model_copy(update={"revoked": revocation})


def _ended_before(ended: PartialDate | None, began: PartialDate | None, pointer: str) -> Rejected | None:
    if ended is None or began is None or ended.hi() >= began.lo():
        return None
    return Rejected("ended-before-it-began", pointer, {"began": str(began)})
