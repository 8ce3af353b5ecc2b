"""Listings (bán trên sàn thương mại điện tử): what provinces report, and the events of the marketplace."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field, model_validator

from contracts.fields import EDGE, EVENT, PERSONAL, Form, OneOf, Origin, PartialDate, Text
from contracts.names import Key, Ref
from contracts.problems import refusal

PLATFORMS: Final = ("shopee", "lazada", "tiktok_shop", "postmart", "voso", "sendo", "other", "unspecified")
# The last day of platforms that closed, as the press reported it; a listing ends with its platform.
CLOSED_ON: Final = {"sendo": date(2025, 4, 15)}

# Pages there are persons' or lead to a person's phone; on the last two only those under "/@".
_personal_page = re.compile(
    r"https://([a-z0-9-]+[.])*((facebook|fb|messenger|instagram|threads|twitter|x)[.]com|fb[.]me|m[.]me|t[.]me|zalo[.]me"
    r"|wa[.]me|linkedin[.]com|(tiktok|youtube)[.]com/@.*)([:/].*)?",
    re.IGNORECASE,
)


def _no_personal_page(url: str) -> str:
    if _personal_page.fullmatch(url):
        raise refusal("personal-page")
    return url


MOST_SIGNS: Final = 500  # of a page's address


def _short(url: str) -> str:
    if len(url) > MOST_SIGNS:
        raise refusal("too-long", max=MOST_SIGNS)
    return url


# A page's address: ASCII as a browser copies it; no user, query or fragment, which can carry persons' data.
Url = Annotated[
    str,
    Form(
        r"https://[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+(:[0-9]{1,5})?(/[A-Za-z0-9._~:@!$&'()*+,;=%/-]{0,400})?",
        "https://voso.vn/san-pham/rong-nho-123",
        also=_short,
    ),
    AfterValidator(_no_personal_page),
    Field(description="Địa chỉ trang bán.", json_schema_extra={"maxLength": MOST_SIGNS} | PERSONAL),
]

_OTHER_PLATFORM: dict[str, Any] = {
    "if": {"properties": {"platform": {"const": "other"}}},
    "then": {"properties": {"platform_name": {"type": "string"}}, "required": ["platform_name"]},
}


class ListingListed(BaseModel):
    """A product is offered on a platform (sàn)."""

    model_config = EDGE | {"json_schema_extra": _OTHER_PLATFORM}

    listing: Ref
    product: Ref
    platform: Annotated[str, OneOf(*PLATFORMS), Field(description="Sàn.")]
    platform_name: Annotated[str, Text(80)] | None = None
    url: Url | None = None
    listed_on: Annotated[PartialDate, Field(description="Từ ngày.")] | None = None

    @model_validator(mode="after")
    def _other_is_named(self) -> ListingListed:
        if self.platform == "other" and self.platform_name is None:
            raise refusal("missing-field", at="/platform_name")
        return self


class ListingDelisted(BaseModel):
    """The product is no longer offered there."""

    model_config = EDGE

    listing: Ref
    delisted_on: PartialDate | None = None


# --- domain events: the whole state after the change ---


class ListingDocument(BaseModel):
    """A listing as stated."""

    model_config = EVENT

    product: Key
    platform: Annotated[str, OneOf(*PLATFORMS, open=True)]
    platform_name: str | None = None
    url: Annotated[str, Field(json_schema_extra=PERSONAL)] | None = None
    listed_on: PartialDate | None = None
    origin: Origin


class Delisting(BaseModel):
    """The end of a listing."""

    model_config = EVENT

    delisted_on: PartialDate | None = None
    origin: Origin


class ListingState(Key):
    """A listing, as reported."""

    documents: Annotated[tuple[ListingDocument, ...], Field(min_length=1)]
    delisted: Delisting | None = None
