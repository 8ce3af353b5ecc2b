"""Owners (chủ thể) and products (sản phẩm OCOP): what provinces submit, and the events of the registry.

A registration holds backwards without limit; an update replaces the whole document from its `effective_on`.
An absent field, or null, means: not known.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field, model_validator

from contracts.fields import (
    EDGE,
    EVENT,
    PERSONAL,
    Day,
    Form,
    OneOf,
    Origin,
    PartialDate,
    Text,
    Unit,
    UnitCode,
)
from contracts.names import Key, Ref
from contracts.problems import refusal
from contracts.text import no_personal_number, units_only

COMPANY_LIKE: Final = ("cooperative", "cooperative_group", "enterprise", "association")
# Kinds whose name often is a person's full name; so is an owner of unknown kind.
PERSON_LIKE: Final = ("farm", "household", "establishment", "household_or_establishment")

# For the JSON Schema: who must have a name, and whose name and tax code would be a person's.
_OWNER_RULES: dict[str, Any] = {
    "if": {"properties": {"kind": {"enum": list(COMPANY_LIKE)}}, "required": ["kind"]},
    "then": {"properties": {"business_name": {"type": "string"}}, "required": ["business_name"]},
    "else": {
        "properties": {"tax_code": {"type": "null"}},
        "if": {"properties": {"business_name": {"type": "string"}}, "required": ["business_name"]},
        "then": {"properties": {"name_is_trade_name": {"const": True}}, "required": ["name_is_trade_name"]},
    },
}


OwnerKind = Annotated[str, OneOf(*COMPANY_LIKE, *PERSON_LIKE), Field(description="Loại hình chủ thể.")]
BusinessName = Annotated[str, Text(200), Field(description="Tên cơ sở.", json_schema_extra=PERSONAL)]
TaxCode = Annotated[
    str,
    Form(r"[0-9]{10}(-[0-9]{3})?", "0100047516", also=no_personal_number),
    Field(description="Mã số thuế.", json_schema_extra=PERSONAL),
]
PrintedPlace = Annotated[
    str,
    Text(200),
    AfterValidator(units_only),
    Field(description="Địa bàn, as printed: administrative units only.", json_schema_extra=PERSONAL),
]


class OwnerFields(BaseModel):
    """The document of an owner. Kinds: QĐ 26/2026/QĐ-TTg, Điều 2 khoản 3."""

    model_config = EDGE | {"json_schema_extra": _OWNER_RULES}

    owner: Ref
    kind: OwnerKind | None = None
    business_name: BusinessName | None = None
    name_is_trade_name: Annotated[bool, Field(description="Tên thương mại, not a person's name.")] | None = None
    tax_code: TaxCode | None = None

    @model_validator(mode="after")
    def _no_person(self) -> OwnerFields:
        if self.kind in PERSON_LIKE or self.kind is None:
            if self.business_name is not None and self.name_is_trade_name is not True:
                raise refusal("not-a-trade-name", at="/name_is_trade_name")
            if self.tax_code is not None:
                raise refusal("tax-code-of-person", at="/tax_code")
        elif self.business_name is None and self.kind in COMPANY_LIKE:
            raise refusal("missing-field", at="/business_name")
        return self


class OwnerRegistered(OwnerFields):
    """An owner that the province had not named before."""


class OwnerUpdated(OwnerFields):
    """The owner's whole document, as it is from a day on."""

    effective_on: Annotated[Day, Field(description="Từ ngày.")]


class OwnerClosed(BaseModel):
    """The owner ended. Its certificates do not end with it: that needs a decision."""

    model_config = EDGE

    owner: Ref
    closed_on: PartialDate | None = None


class Place(BaseModel):
    """Where a product is made (địa bàn)."""

    model_config = EDGE

    province: UnitCode
    place_printed: PrintedPlace | None = None


class ProductFields(BaseModel):
    """The document of a product."""

    model_config = EDGE

    product: Ref
    owner: Ref
    name: Annotated[str, Text(200), Field(description="Tên sản phẩm.")]
    place: Place


class ProductRegistered(ProductFields):
    """A product that the province had not named before."""


class ProductUpdated(ProductFields):
    """The product's whole document, as it is from a day on."""

    effective_on: Annotated[Day, Field(description="Từ ngày.")]


class ProductDiscontinued(BaseModel):
    """The owner no longer makes the product. Its certificate stays until a decision (Điều 8 điểm đ)."""

    model_config = EDGE

    product: Ref
    discontinued_on: PartialDate | None = None


# --- domain events: the whole state after the change ---


class OwnerDocument(BaseModel):
    """What holds of an owner from a day on (the first one: from ever, `from` is null)."""

    model_config = EVENT

    from_: Annotated[Day | None, Field(alias="from")] = None
    kind: Annotated[str, OneOf(*COMPANY_LIKE, *PERSON_LIKE, open=True)] | None = None
    business_name: Annotated[str, Field(json_schema_extra=PERSONAL)] | None = None
    name_is_trade_name: bool | None = None
    tax_code: Annotated[str, Field(json_schema_extra=PERSONAL)] | None = None
    origin: Origin


class Closing(BaseModel):
    """The owner's end."""

    model_config = EVENT

    closed_on: PartialDate | None = None
    origin: Origin


class OwnerState(Key):
    """An owner. Documents stand in the order of the days from which they hold, then of their sequence."""

    documents: Annotated[tuple[OwnerDocument, ...], Field(min_length=1)]
    closed: Closing | None = None


class StatedPlace(BaseModel):
    """Where a product is made, as stated."""

    model_config = EVENT

    province: Unit
    place_printed: Annotated[str, Field(json_schema_extra=PERSONAL)] | None = None


class ProductDocument(BaseModel):
    """What holds of a product from a day on (the first one: from ever, `from` is null)."""

    model_config = EVENT

    from_: Annotated[Day | None, Field(alias="from")] = None
    owner: Key
    name: str
    place: StatedPlace
    origin: Origin


class Discontinuation(BaseModel):
    """The product is no longer made."""

    model_config = EVENT

    discontinued_on: PartialDate | None = None
    origin: Origin


class ProductState(Key):
    """A product. Documents stand in the order of the days from which they hold, then of their sequence."""

    documents: Annotated[tuple[ProductDocument, ...], Field(min_length=1)]
    discontinued: Discontinuation | None = None
