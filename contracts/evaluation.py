"""Recognitions (công nhận sản phẩm OCOP): the acts that provinces report, and the events of evaluation.

A recognition is named by its product and a `recognition_ref` of the province's. Its dates are as well known
as the province knows them; an absent field, or null, means: not known.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, model_validator

from contracts.fields import (
    EDGE,
    EVENT,
    Identifier,
    OneOf,
    Origin,
    PartialDate,
    Text,
    Unit,
    UnitCode,
)
from contracts.names import Key, Ref
from contracts.problems import refusal

REGIMES: Final = ("1048-2019", "781-2020", "148-2023", "1489-2025", "26-2026")
# The six product groups (ngành) and their criteria sets (bộ sản phẩm): QĐ 26/2026/QĐ-TTg, Phụ lục I.
SETS: Final = {
    "food": range(1, 14),
    "drink": range(14, 18),
    "medicinal": range(18, 21),
    "craft": range(21, 23),
    "ornamental": range(23, 26),
    "tourism": range(26, 27),
}
TERM_MONTHS: Final = 36  # of a recognition: QĐ 26/2026/QĐ-TTg, Điều 4 khoản 3; 148/QĐ-TTg had the same
LEVELS: Final = ("district", "province", "ministry")
SOURCES: Final = ("act", "register", "press")
# Điều 8 khoản 1, điểm a to e; "dd" is the Vietnamese letter đ, which stands between d and e.
CAUSES: Final = ("a", "b", "c", "d", "dd", "e")
OCCASIONS: Final = ("first", "renewed", "upgraded")

RecognitionRef = Annotated[str, Identifier("858-2025"), Field(description="Unique within the product, permanent.")]
Level = Annotated[str, OneOf(*LEVELS), Field(description="Cấp ban hành.")]
Regime = Annotated[str, OneOf(*REGIMES), Field(description="Bộ quy định: the decision's number and year.")]
Group = Annotated[str, OneOf(*SETS), Field(description="Ngành sản phẩm, as the province classes it.")]
Stars = Annotated[int, OneOf(3, 4, 5), Field(description="Hạng sao.")]
SetNumber = Annotated[int, OneOf(*range(1, 27)), Field(description="Bộ sản phẩm (Phụ lục I).")]

_SET_RULES: dict[str, Any] = {
    "if": {"properties": {"criteria_set": {"type": "integer"}}, "required": ["criteria_set"]},
    "then": {
        "properties": {"regime": {"const": "26-2026"}},
        "required": ["regime"],
        "allOf": [
            {
                "if": {"properties": {"group": {"const": group}}, "required": ["group"]},
                "then": {"properties": {"criteria_set": {"minimum": min(sets), "maximum": max(sets)}}},
            }
            for group, sets in SETS.items()
        ],
    },
}


class Act(BaseModel):
    """The decision (quyết định), as far as it is known. Never its signatory."""

    model_config = EDGE

    number: Annotated[str, Text(60), Field(description="Số quyết định.")] | None = None
    authority_level: Level | None = None
    authority_printed: Annotated[str, Text(200), Field(description="Cơ quan, as printed.")] | None = None
    authority_province: UnitCode | None = None


class RecognitionFields(BaseModel):
    """The document of a recognition."""

    model_config = EDGE | {"json_schema_extra": _SET_RULES}

    product: Ref
    recognition_ref: RecognitionRef
    stars: Stars | None = None
    issued_on: Annotated[PartialDate, Field(description="Ngày cấp.")] | None = None
    valid_until: Annotated[PartialDate, Field(description="Có giá trị đến hết ngày.")] | None = None
    act: Act | None = None
    regime: Regime | None = None
    regime_printed: Annotated[str, Text(60)] | None = None
    criteria_set: SetNumber | None = None
    group: Group | None = None
    group_printed: Annotated[str, Text(100), Field(description="Ngành, as printed.")] | None = None
    attested_from: Annotated[str, OneOf(*SOURCES), Field(description="Nguồn.")] | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> RecognitionFields:
        if self.criteria_set is not None:
            if self.regime != "26-2026":
                raise refusal("set-without-its-regime", at="/criteria_set")
            if self.group in SETS and self.criteria_set not in SETS[self.group]:
                raise refusal("set-of-another-group", at="/criteria_set", set=self.criteria_set, group=self.group)
        if self.issued_on and self.valid_until and self.valid_until.hi() < self.issued_on.lo():
            raise refusal("ends-before-issue", at="/valid_until", issued_on=self.issued_on)
        return self


class RecognitionRecognised(RecognitionFields):
    """A first recognition (`occasion: first`), or one of which is not known on what occasion it was given."""

    occasion: Annotated[str, OneOf("first"), Field(description="Lần đầu; absent: not known.")] | None = None


class RecognitionRenewed(RecognitionFields):
    """Given after a re-evaluation (đánh giá lại, Điều 7 khoản 6), with any stars."""

    previous_ref: RecognitionRef | None = None


class RecognitionUpgraded(RecognitionFields):
    """Given with more stars than before (nâng hạng, Điều 7 khoản 5)."""

    previous_ref: RecognitionRef | None = None


class RecognitionCorrected(RecognitionFields):
    """The whole document anew, after an error in the report. Occasion and predecessor stay as they were."""

    void: Annotated[bool, Field(description="True: it was never issued.")] | None = None


class RecognitionRevoked(BaseModel):
    """Withdrawn by the authority (thu hồi, Điều 8). The day named is already invalid."""

    model_config = EDGE

    product: Ref
    recognition_ref: RecognitionRef
    revoked_on: PartialDate | None = None
    act: Act | None = None
    cause: Annotated[str, OneOf(*CAUSES), Field(description="Nguyên nhân thu hồi (Điều 8).")] | None = None


# --- domain events: the whole state after the change ---


class StatedAct(BaseModel):
    """A decision, as stated."""

    model_config = EVENT

    number: str | None = None
    authority_level: Annotated[str, OneOf(*LEVELS, open=True)] | None = None
    authority_printed: str | None = None
    authority_province: Unit | None = None


class Revocation(BaseModel):
    """The end of a recognition by decision."""

    model_config = EVENT

    revoked_on: PartialDate | None = None
    act: StatedAct | None = None
    cause: Annotated[str, OneOf(*CAUSES, open=True)] | None = None
    origin: Origin


class Recognition(BaseModel):
    """One recognition of a product, as last stated. `void`: never issued. `occasion` null: not known."""

    model_config = EVENT

    recognition_ref: str
    occasion: Annotated[str, OneOf(*OCCASIONS, open=True)] | None = None
    basis: Annotated[str, OneOf("attested", "decided", open=True)]
    previous_ref: str | None = None
    stars: Annotated[int, OneOf(3, 4, 5, open=True)] | None = None
    issued_on: PartialDate | None = None
    valid_until: PartialDate | None = None
    act: StatedAct | None = None
    regime: Annotated[str, OneOf(*REGIMES, open=True)] | None = None
    regime_printed: str | None = None
    criteria_set: int | None = None
    group: Annotated[str, OneOf(*SETS, open=True)] | None = None
    group_printed: str | None = None
    attested_from: Annotated[str, OneOf(*SOURCES, open=True)] | None = None
    void: bool = False
    revoked: Revocation | None = None
    origin: Origin


class RecognitionState(BaseModel):
    """All recognitions of one product, in the order in which they were first applied."""

    model_config = EVENT

    product: Key
    recognitions: Annotated[tuple[Recognition, ...], Field(min_length=1)]
