"""How answers are written: JSON as people read it, CSV that a spreadsheet opens unharmed, problems in two languages."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from fastapi.responses import JSONResponse, Response

from contracts.problems import Problem

# What a spreadsheet takes for the beginning of a formula, wide forms too.
_FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")
MOST_PROBLEMS: Final = 20
BOM: Final = "\ufeff"  # without it Excel takes UTF-8 for the machine's old encoding


class NotFound(Exception):  # noqa: N818  # an answer, not an accident
    """There is no such thing."""


class Busy(Exception):  # noqa: N818  # it passes by itself
    """The database is away."""


class PlainJSON(JSONResponse):
    """Vietnamese letters as they are; days and moments as ISO 8601."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_written).encode(
            errors="backslashreplace"
        )


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def problem_response(status: int, *problems: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """problem+json (RFC 9457): the first problem's reason in both languages, and all of them (20) in `errors`."""
    answers = [problem.answer() for problem in problems[:MOST_PROBLEMS]]
    body = {"type": "about:blank", "status": status, "title": answers[0]["message_en"], **answers[0], "errors": answers}
    return PlainJSON(body, status, headers=dict(headers or {}), media_type="application/problem+json")


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
