"""Answers beside JSON: what is not there, what is away, and CSV that a spreadsheet opens unharmed."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastapi.responses import Response

# What a spreadsheet takes for the beginning of a formula, wide forms too.
_FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")
BOM: Final = "\ufeff"  # without it Excel takes UTF-8 for the machine's old encoding


class NotFound(Exception):  # noqa: N818  # an answer, not an accident
    """There is no such thing."""


class Busy(Exception):  # noqa: N818  # it passes by itself
    """The database is away."""


def csv_response(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], headers: Mapping[str, str] | None = None
) -> Response:
    """A table as UTF-8 with a byte order mark, lines ended by CRLF (RFC 4180). No cell of it can be a formula."""
    out = io.StringIO()
    out.write(BOM)
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers={**disposition, **(headers or {})})


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value
    return str(value).lower() if isinstance(value, bool) else str(value)
