"""One trace from a province's request to the mail: the spans of one event, as a receiver of OTLP gets them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from notifications import store
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ocop import mailbox
from ocop.home import free_port
from servicekit import database
from tests.acts import recognised, revoked
from tests.delivery.spans import receiver
from tests.delivery.system import SERVICES, System, system
from tests.engines import Databases
from tests.submissions import owner, product
from tests.waiting import until

OF_PROVINCE = "4bf92f3577b34da6a3ce929d0e0e4736"  # the example of W3C Trace Context
SENDER = f"00-{OF_PROVINCE}-00f067aa0ba902b7-00"


@pytest.fixture
async def under_test(kafka_topics: str, databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    async with system(kafka_topics, databases, tmp_path, SERVICES) as made:
        yield made


async def test_a_revocation_is_followed_to_its_mail(under_test: System, tmp_path: Path) -> None:
    smtp, kept = free_port(), tmp_path / "mails"
    kept.mkdir()
    post = asyncio.create_task(mailbox.serve(smtp, kept))
    with receiver() as (endpoint, spans):
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OCOP_TRACE_SHARE": "1", "OCOP_SMTP_PORT": str(smtp)}
        for service in SERVICES:
            await under_test.start(service, ready=True, **told)
        connection = await database.connect(under_test.urls["notifications"])
        await store.set_contact(connection, "2025-68", "ocop@example.org")
        await connection.close()
        before = [owner(), product(), recognised("1-2025", "2025-06-01", stars=4)]
        await under_test.submit(before)
        await under_test.submit([revoked("1-2025", "2025-09-01", id_="end") | {"traceparent": SENDER}])
        await under_test.settled()
        await until(lambda: _any(mailbox.read(kept)), 30)
        for process in under_test.processes:
            process.process.terminate()  # what they have not sent yet is sent at the end
        for process in under_test.processes:
            await asyncio.to_thread(process.process.wait, 30)
    post.cancel()
    mine = [(service.removeprefix("ocop-"), span) for service, span in spans if span.trace_id.hex() == OF_PROVINCE]
    way = {(service, span.name, _said(span, "messaging.destination.name")) for service, span in mine}
    assert way == {
        ("gateway", "submission", ""),
        ("gateway", "send", "ocop.submission.evaluation"),
        ("evaluation", "process", "ocop.submission.evaluation"),
        ("evaluation", "send", "ocop.evaluation.recognition"),
        ("evaluation", "send", "ocop.evaluation.outcome"),
        ("gateway", "process", "ocop.evaluation.outcome"),
        ("notifications", "process", "ocop.evaluation.outcome"),
        ("notifications", "process", "ocop.evaluation.recognition"),
        ("national", "process", "ocop.evaluation.recognition"),
        ("notifications", "mail", ""),
    }
    (taken,) = (span for _, span in mine if span.name == "submission")
    assert taken.parent_span_id.hex() == SENDER.split("-")[2], "below the province's own span"
    assert {span.parent_span_id for _, span in mine if span is not taken} == {taken.span_id}
    wholes = {span.span_id: span for _, span in spans if span.name.endswith(": together")}
    for _, span in mine:
        if span is not taken:
            (link,) = span.links
            assert taken.span_id in {back.span_id for back in wholes[link.span_id].links}
    requests = [span for _, span in spans if span.name == "POST /v1/events"]
    assert len(requests) == 2, "the others are in the traces of their requests"
    of_requests = {span.trace_id for _, span in spans if span.name == "submission"} - {taken.trace_id}
    assert of_requests == {requests[0].trace_id}
    theirs = {service for service, span in spans if span.trace_id == requests[0].trace_id and span.name == "process"}
    assert theirs == {f"ocop-{service}" for service in SERVICES}


async def _any(found: list[Any]) -> bool:
    return bool(found)


def _said(span: Span, name: str) -> str:
    return next((a.value.string_value for a in span.attributes if a.key == name), "")
