"""Questions: every parameter of every route that is read, with every wrong kind of value, and paths that are none."""

import random
from urllib.parse import quote

from national.query import DIMENSIONS, EventsQuery, FigureQuery, ProductQuery

ID = "0b6c1f9e-8f0f-5d1c-9f5b-3f3c7f0d9a11"
# As they stand in an address, some of them encoded wrongly.
VALUES = (
    "",
    "0",
    "-1",
    "1e9",
    "1.5",
    "nan",
    "inf",
    "9" * 30,
    "9" * 4000,
    "4",
    "true",
    "null",
    "2025-80",
    "2025-81",
    "2026-02-30",
    "2026-01-01",
    "9999-12-31",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-01-01T00:00:00",
    "received",
    "%00",
    "%",
    "%zz",
    "%ff%fe",
    "%c0%af",
    "%ed%a0%80",
    "%E2%80%AE",
    "%F0%9F%92%A5",
    "%D9%A2%D9%A0%D9%A2%D9%A4",
    "%27%3B%20DROP%20TABLE%20product%3B%20--",
    "%3Cscript%3E",
    "..%2F..%2Fetc%2Fpasswd",
    "a,b,,c",
    ",",
    "x" * 300,
    "gao+st25",
    "%25",
    "%5C",
    "_",
    ID,
    ID.replace("-", ""),
    "{" + ID + "}",
    "urn:uuid:" + ID,
    "MjAyNi0wOC0wNVQwMDowMDowMHw",
    "Z3wwYjZjMWY5ZS04ZjBmLTVkMWMtOWY1Yi0zZjNjN2YwZDlhMTE",
    "====",
    "!!",
    "%0d%0aSet-Cookie:%20a=b",
)
SEGMENTS = (
    *VALUES,
    "..",
    "../..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    ".",
    "//",
    "products.csv",
    "products.xml",
    "SP-1",
    ";x=1",
    "%252e%252e",
    "x" * 3000,
)
GATEWAY = {
    "/v1/submissions": ("state", "since", "after", "limit", "x"),
    "/v1/submissions/{}": ("wait", "x"),
    "/v1/events": ("dry_run",),
}
NATIONAL = {
    **{f"/v1/figures/{each}{form}": tuple(FigureQuery.model_fields) for each in DIMENSIONS for form in ("", ".csv")},
    "/v1/figures/{}": ("at",),
    "/v1/products": tuple(ProductQuery.model_fields),
    "/v1/products.csv": tuple(ProductQuery.model_fields),
    "/v1/products.json": tuple(ProductQuery.model_fields),
    "/v1/products/{}": ("at", "map"),
    "/v1/owners/{}": ("at",),
    "/v1/events/{}": ("wait",),
    "/v1/events": tuple(EventsQuery.model_fields),
    "/": ("at", "map"),
    "/san-pham": tuple(ProductQuery.model_fields),
    "/san-pham/{}": ("at",),
}
ELSEWHERE = (
    "/docs/static/{}",
    "/static/{}",
    "/docs/{}",
    "/{}",
    "/v1/{}",
    "/health/{}",
    "/openapi.json",
    "/docs",
    "/v1/",
    "/v1/events/",
    "/v1/products/",
    "/.git/config",
    "/.env",
)


def of_gateway(chance: random.Random) -> str:
    """A path with a query."""
    return _path(chance, GATEWAY)


def of_national(chance: random.Random) -> str:
    """The same for the national database."""
    return _path(chance, NATIONAL)


def _path(chance: random.Random, routes: dict[str, tuple[str, ...]]) -> str:
    if chance.random() < 0.15:
        return chance.choice(ELSEWHERE).format(chance.choice(SEGMENTS)).replace(" ", "%20")
    route = chance.choice(list(routes))
    names = routes[route]
    pairs = []
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        name = chance.choice(names)
        value = chance.choice(VALUES)
        if name == "wait" and value == "4":  # it would be waited
            value = "0"
        pairs.append(f"{name}={value}" if chance.random() < 0.95 else quote(name + "\0\xff"))
    path = route.format(ID if chance.random() < 0.4 else chance.choice(SEGMENTS))
    return path + ("?" + chance.choice(("&", "&", "&", ";")).join(pairs) if pairs else "")
