"""What a value may look like. Every check raises one of our reason codes, so that a clerk reads what to mend.

The edge is strict (`EDGE`). Readers inside pass over what a newer writer added: of submissions with
`extra="ignore", context=INSIDE`, of events always (`EVENT`, `OneOf(..., open=True)`).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contracts import provinces, text
from contracts.problems import refusal

# What provinces submit: nothing is guessed, nothing that we do not know is let through.
EDGE = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
# What our services say: a reader passes over what a newer writer added.
EVENT = ConfigDict(
    strict=True,
    frozen=True,
    allow_inf_nan=False,
    validate_by_name=True,
    validate_by_alias=True,
    serialize_by_alias=True,
)
INSIDE: Final = {"inside": True}
# Legal dates are local dates (giờ Việt Nam, UTC+7, without summer time).
VIETNAM: Final = timezone(timedelta(hours=7))
# Marks a field that could come to hold personal data (Luật 91/2025/QH15): a rule must keep persons out.
PERSONAL: Final[dict[str, Any]] = {"x-personal": True}


@dataclass(frozen=True, slots=True)
class Text:
    """Free text for people: NFC, 1 to `longest` code points, without persons' data."""

    longest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema(strict=True))

    def check(self, value: str) -> str:
        return text.plain(value, self.longest)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        pattern = f"^[^ {text.HIDDEN}]([^{text.HIDDEN}]*[^ {text.HIDDEN}])?$"
        return handler(schema) | {"minLength": 1, "maxLength": self.longest, "pattern": pattern}


@dataclass(frozen=True, slots=True)
class Form:
    """Text of a fixed form, told to people by an example. `pattern` has no anchors and no `\\d`."""

    pattern: str
    example: str
    also: Callable[[str], str] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        matches = re.compile(self.pattern).fullmatch

        def check(value: str) -> str:
            if self.also:
                value = self.also(value)
            if not matches(value):
                raise refusal("bad-pattern", example=self.example)
            return value

        return core_schema.no_info_after_validator_function(check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^({self.pattern})$", "examples": [self.example]}


# The id of an event, chosen by the province: visible characters without spaces.
EventId = Annotated[str, Form(f"[^ {text.HIDDEN}]{{1,64}}", "858-sp3", also=text.visible)]


def Identifier(example: str) -> Form:  # noqa: N802 (stands in annotations, beside Text and Form)
    """A ref chosen by a province. It is public for ever, so a phone or personal number cannot be one."""
    return Form(r"[A-Za-z0-9._-]{1,64}", example, also=text.no_person_in_ref)


class OneOf:
    """A value of a list. `open` (domain events): the list may have grown since its reader was written."""

    def __init__(self, *values: str | int, open: bool = False) -> None:  # noqa: A002 (reads well where it is used)
        self.values, self.open = values, open
        self.known = frozenset(values)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = isinstance(self.values[0], int)
        plain = core_schema.int_schema(strict=True) if number else core_schema.str_schema(strict=True)
        if self.open:
            return plain
        return core_schema.with_info_after_validator_function(self.check, plain)

    def check(self, value: str | int, info: ValidationInfo) -> str | int:
        if value not in self.known and info.context is not INSIDE:
            raise refusal("bad-value", allowed=", ".join(map(str, self.values)))
        return value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"x-known-values" if self.open else "enum": list(self.values)}


_DAY = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_day = re.compile(_DAY)


def _read_day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise refusal("wrong-type", expected="string")
    if not _day.fullmatch(value):
        raise refusal("bad-date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise refusal("bad-date") from None


class _DayForm:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(date.isoformat, when_used="json")
        return core_schema.no_info_plain_validator_function(_read_day, serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "date", "pattern": f"^{_DAY}$"}


# A calendar day of 1900 to 2099, written YYYY-MM-DD.
Day = Annotated[date, _DayForm()]

_PARTIAL = "(19|20)[0-9]{2}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_partial = re.compile(_PARTIAL)


class PartialDate(str):
    """A date as well as it is known: YYYY, YYYY-MM or YYYY-MM-DD, of 1900 to 2099."""

    __slots__ = ()

    def lo(self) -> date:
        """The first day that it can mean."""
        return date.fromisoformat(self + "-01-01"[len(self) - 4 :])

    def hi(self) -> date:
        """The last day that it can mean."""
        if len(self) == 4:
            return date(int(self), 12, 31)
        first = self.lo()
        return first.replace(day=monthrange(first.year, first.month)[1]) if len(self) == 7 else first

    @classmethod
    def read(cls, value: str) -> PartialDate:
        if not _partial.fullmatch(value):
            raise refusal("bad-date")
        partial = cls(value)
        try:
            partial.lo()
        except ValueError:
            raise refusal("bad-date") from None
        return partial

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.read, core_schema.str_schema(strict=True), serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^{_PARTIAL}$", "examples": ["2025", "2025-06", "2025-06-19"]}


FIRST_DAY: Final = date(2018, 1, 1)  # of what has no date: the programme began then


def span(day: PartialDate | None, stated_on: date) -> tuple[date, date]:
    """The first and the last day, both included, that a date can mean which was stated on a day."""
    return (day.lo(), min(day.hi(), stated_on)) if day else (FIRST_DAY, stated_on)


TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
_time = re.compile(TIME)
EARLIEST_TIME: Final = datetime(2018, 1, 1, tzinfo=VIETNAM)
CLOCK_SKEW: Final = timedelta(minutes=5)


def read_time(written: str, now: datetime) -> datetime:
    """The moment (RFC 3339, with seconds and zone) from 2018 to five minutes after `now`.

    Raises the reasons `bad-time` and `time-out-of-range`.
    """
    if not _time.fullmatch(written):
        raise refusal("bad-time")
    try:
        time = datetime.fromisoformat(written)
        in_range = EARLIEST_TIME <= time <= now + CLOCK_SKEW
    except (ValueError, OverflowError):
        raise refusal("bad-time") from None
    if not in_range:
        raise refusal("time-out-of-range")
    return time


def local_date(time: datetime) -> date:
    """The date in Vietnam at that moment."""
    return time.astimezone(VIETNAM).date()


_UNITS: Final[dict[str, Any]] = {
    "oneOf": [
        {"properties": {"catalogue": {"const": catalogue}, "code": {"enum": provinces.codes(catalogue)}}}
        for catalogue in ("2004", "2025")
    ]
}


class UnitCode(BaseModel):
    """A province as a submission names it: a code and the catalogue that the code is of."""

    model_config = EDGE | {"json_schema_extra": _UNITS}

    catalogue: Annotated[str, OneOf("2004", "2025"), Field(description="QĐ 124/2004/QĐ-TTg or QĐ 19/2025/QĐ-TTg.")]
    code: Annotated[str, Form("[0-9]{2}", "68")]

    @model_validator(mode="after")
    def _is_a_unit(self) -> UnitCode:
        if not provinces.exists(self.catalogue, self.code):
            raise refusal("unknown-unit", at="/code", catalogue=self.catalogue, code=self.code)
        return self


class Unit(BaseModel):
    """A province as a domain event names it."""

    model_config = EVENT

    catalogue: str
    code: str


class Origin(BaseModel):
    """Where a statement comes from. Without `stated_on` nobody could say which days are certain."""

    model_config = EVENT

    source: str
    event_id: str
    submission_id: UUID
    stated_on: date
    received_at: datetime
    sequence: int
