"""What may be asked: the parameters of each route, read from a query string that anybody may have written.

A list takes its values repeated or with commas between them: `stars=4&stars=5` is `stars=4,5`. An empty value is
none, for a form sends its empty fields. Everything else that is not understood is refused, never passed over.
"""

import re
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from starlette.datastructures import QueryParams

from contracts import provinces
from contracts.evaluation import OCCASIONS, SETS
from contracts.fields import EDGE, Day, Form, OneOf
from contracts.marketplace import PLATFORMS
from contracts.problems import Problem, pointer, problems_of, refusal
from national.domain import KINDS

Indicator = Literal["products", "owners", "recognitions", "online"]
# Which dimensions an indicator can be broken down by and filtered on; every one can by province.
DIMENSIONS: Final[dict[str, tuple[str, ...]]] = {
    "products": ("stars", "group", "owner_kind"),
    "owners": ("stars", "group", "owner_kind"),
    "recognitions": ("stars", "group", "owner_kind", "occasion", "year"),
    "online": ("stars", "group", "owner_kind", "platform"),
}
STATUSES: Final = ("valid", "uncertain", "ended", "none")
MOST_PER_PAGE: Final = 200
PER_PAGE: Final = 50
MOST_WAIT_S: Final = 30
LONGEST_SEARCH: Final = 200


class QueryRefused(Exception):  # noqa: N818  # a refusal is an answer, not an accident
    """The query string cannot be read; `problems` says of each parameter why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems[0].code)
        self.problems = problems


def _unit(value: str) -> str:
    catalogue, _, code = value.partition("-")
    if not provinces.exists(catalogue, code):
        raise refusal("unknown-unit", catalogue=catalogue, code=code)
    return value


def _number(least: int, most: int) -> BeforeValidator:
    def read(value: object) -> object:
        if isinstance(value, int):
            return value
        if not re.fullmatch("[0-9]{1,4}", str(value)) or not least <= int(str(value)) <= most:
            raise refusal("bad-value", allowed=f"{least}-{most}")
        return int(str(value))

    return BeforeValidator(read)


def _id(value: object) -> object:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise refusal("wrong-type", expected="UUID") from None


def _short(value: str) -> str:
    if len(value) > LONGEST_SEARCH:
        raise refusal("too-long", max=LONGEST_SEARCH)
    return value


Province = Annotated[str, Form("(2004|2025)-[0-9]{2}", "2025-80"), AfterValidator(_unit)]
Id = Annotated[UUID, BeforeValidator(_id)]
Limit = Annotated[int, _number(1, MOST_PER_PAGE)]
By = Annotated[
    str, OneOf("province", "stars", "group", "owner_kind", "owner_kind_merged", "occasion", "year", "platform")
]


class Filters(BaseModel):
    """What narrows a figure or a list down. Values of one filter are alternatives, filters come together."""

    model_config = EDGE

    at: Annotated[Day | None, Field(description="The day that is asked about; today where it is left out.")] = None
    map: Annotated[
        Annotated[str, OneOf("2004", "2025")], Field(description="63 provinces (until 30/6/2025) or 34.")
    ] = "2025"
    province: Annotated[
        tuple[Province, ...], Field(description="The product's, with its catalogue: 2004-80 or 2025-80.")
    ] = ()
    map_province: Annotated[
        tuple[Annotated[str, Form("[0-9]{2}", "80")], ...],
        Field(description="The product's code on `map`, within what `province` takes."),
    ] = ()
    stars: tuple[Annotated[str, OneOf("3", "4", "5", "unknown")], ...] = ()
    group: tuple[Annotated[str, OneOf(*SETS, "unknown")], ...] = ()
    owner_kind: tuple[Annotated[str, OneOf(*KINDS, "other", "not_stated")], ...] = ()
    occasion: tuple[Annotated[str, OneOf(*OCCASIONS, "unknown")], ...] = ()
    year: Annotated[
        tuple[Annotated[str, Form("20[0-9]{2}", "2024")], ...], Field(description="Of the act, not of the report.")
    ] = ()
    platform: tuple[Annotated[str, OneOf(*PLATFORMS)], ...] = ()


class FigureQuery(Filters):
    """A figure, and what it is broken down by."""

    by: Annotated[tuple[By, ...], Field(description="Dimensions of the cells.")] = ()


class ProductQuery(Filters):
    """A page of products, in the order of their names."""

    q: Annotated[
        Annotated[str, AfterValidator(_short)] | None, Field(description="Beginnings of words of the name, marks off.")
    ] = None
    indicator: Annotated[
        Annotated[str, OneOf(*DIMENSIONS)] | None, Field(description="Only what this figure counts, with its filters.")
    ] = None
    status: Annotated[
        tuple[Annotated[str, OneOf(*STATUSES)], ...], Field(description="Of its recognition on the day.")
    ] = ()
    owner: Annotated[Id | None, Field(description="Whose product it is on the day.")] = None
    after: Annotated[str | None, Field(description="`next` of the page before.")] = None
    limit: Limit = PER_PAGE


class DayQuery(BaseModel):
    """One thing, as it is on a day."""

    model_config = EDGE

    at: Annotated[Day | None, Field(description="The day that is asked about; today where it is left out.")] = None


class WaitQuery(BaseModel):
    """One event."""

    model_config = EDGE

    wait: Annotated[int, _number(0, MOST_WAIT_S), Field(description="Seconds to wait until it has arrived.")] = 0


class EventsQuery(BaseModel):
    """A page of a subject's events, oldest first."""

    model_config = EDGE

    subject: Annotated[Id, Field(description="Id of an owner, a product (its recognitions' too) or a listing.")]
    after: Annotated[str | None, Field(description="`next` of the page before.")] = None
    limit: Limit = PER_PAGE


Query = TypeVar("Query", bound=BaseModel)


def read(model: type[Query], params: QueryParams) -> Query:
    """The parameters as the model has them. Raises QueryRefused with everything that is wrong."""
    given: dict[str, str | tuple[str, ...]] = {}
    problems = []
    for name, value in params.multi_items():
        field = model.model_fields.get(name)
        if field is None:
            problems.append(Problem("unknown-parameter", pointer((name[:100],))))
        elif not value:
            continue
        elif field.default == ():
            given[name] = (*given.get(name, ()), *(part for part in value.split(",") if part))
        elif name in given:
            problems.append(Problem("duplicate-key", pointer((name,)), {"key": name}))
        else:
            given[name] = value
    try:
        found = model.model_validate(
            {name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in given.items()}
        )
    except ValidationError as error:
        problems += problems_of(error)
    if problems:
        raise QueryRefused(*problems)
    return found


def identifier(written: str) -> UUID:
    """The id in a path. Raises QueryRefused."""
    try:
        return UUID(written)
    except ValueError:
        raise QueryRefused(Problem("wrong-type", "", {"expected": "UUID"})) from None


def suits(indicator: str, query: Filters) -> None:
    """Raises QueryRefused if a figure's query names what its indicator does not have."""
    allowed = DIMENSIONS[indicator]
    problems = [
        Problem("unknown-parameter", f"/{name}")
        for name in ("occasion", "year", "platform")
        if name not in allowed and getattr(query, name)
    ]
    for dimension in query.by if isinstance(query, FigureQuery) else ():
        if dimension.removesuffix("_merged") not in ("province", *allowed):
            problems.append(Problem("bad-value", "/by", {"allowed": ", ".join(("province", *allowed))}))
    if problems:
        raise QueryRefused(*problems)
