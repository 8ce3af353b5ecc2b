"""Which requests are counted."""

import httpx2
import pytest
from starlette.responses import Response

from servicekit.http import Counted, application
from servicekit.metrics import METRICS


def counted(status: str) -> float:
    """Answers of this class so far."""
    (family,) = METRICS.requests.collect()
    return sum(s.value for s in family.samples if s.name.endswith("_total") and s.labels["status"] == status)


@pytest.mark.parametrize(("path", "counts"), [("/work", 1), ("/health/ready", 0), ("/metrics", 0)])
async def test_probes_and_scrapes_are_no_requests(path: str, counts: int) -> None:
    app = application("tried")

    @app.get(path, status_code=503)
    async def answer() -> None:
        return

    before = counted("5xx")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=Counted(app)), base_url="http://tried") as client:
        assert (await client.get(path)).status_code == 503
    assert counted("5xx") - before == counts


async def test_what_is_refused_before_it_is_read_is_counted() -> None:
    app = application("tried")

    @app.middleware("http")
    async def nobody_passes(*_: object) -> Response:
        return Response(status_code=429)

    before = counted("4xx")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=Counted(app)), base_url="http://tried") as client:
        await client.get("/work")
    assert counted("4xx") - before == 1


async def test_what_nobody_has_caught_is_an_answer_too() -> None:
    app = application("tried")

    @app.get("/broken")
    async def answer() -> None:
        raise RuntimeError("a bug")

    before = counted("5xx")
    transport = httpx2.ASGITransport(app=Counted(app), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://tried") as client:
        assert (await client.get("/broken")).status_code == 500
    assert counted("5xx") - before == 1
