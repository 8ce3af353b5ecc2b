"""One trace of a submission, from the province's request to the last reader of what came of it.

Its place in the trace travels with the event (`traceparent`, W3C Trace Context) as the gateway wrote it, and nobody on
the way changes it: what is said again is said in the same bytes. So below the gateway's span the others lie beside each
other, in the order of their times. Who takes many at once has a span of its own for that, and theirs link to it.

Of all traces a share is kept, chosen by the trace's id alone, whatever the sender asks for; the others cost a glance at
eight bits. Spans go to OTEL_EXPORTER_OTLP_ENDPOINT over HTTP; without it there are none.
"""

import os
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.util.types import AttributeValue

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
MOST_LINKS: Final = 128  # of a span; more the SDK would leave out
SHARE_BITS: Final = 64  # of a trace's id, that say whether it is kept
SAMPLED: Final = "13579bdf"  # the last digit of a traceparent whose lowest flag is set; others may be set beside it
END_S: Final = 3.0  # a collector that hangs keeps no process from its end

Attributes = Mapping[str, AttributeValue]
Of = tuple[str | None, Attributes]  # what a span is of: the event's traceparent, and what is to be said of it

_w3c = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch


class Tracing:
    """A process's. Until it is configured it keeps nothing and changes nothing."""

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None
        self._bound = 0

    def configure(self, service: str, share: float) -> None:
        """Begins to send spans, of so many of all traces, if the environment says where to."""
        if not os.environ.get(ENDPOINT):
            return
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # 10 MB, for who needs it

        # What is started here is kept: whether to start it is asked before.
        self._provider = TracerProvider(ALWAYS_ON, Resource.create({"service.name": f"ocop-{service}"}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._bound = round(share * 2**SHARE_BITS)

    def end(self) -> None:
        """Sends what there is still to send, for so long as END_S."""
        if self._provider is not None:
            ending = threading.Thread(target=self._provider.shutdown, daemon=True)
            ending.start()
            ending.join(END_S)
            self._provider = None

    @contextmanager
    def request(self, given: str | None) -> Iterator["Request"]:
        """While events are taken that one request brought; `given` is the request's own traceparent."""
        request = Request(self, given)
        try:
            yield request
        finally:
            request.end()

    def took(self, name: str, kind: SpanKind, of: Iterable[Of], started: int) -> None:
        """What was done with these at once, from `started` (ns since 1970) till now: a span in each trace that is kept,
        and one for the whole."""
        if self._provider is None:
            return
        kept = [(context, said) for place, said in of if (context := _kept(place)) is not None]
        if not kept:
            return
        ended = time.time_ns()
        links = [Link(context) for context, _ in kept[:MOST_LINKS]]
        whole = self.start(f"{name}: together", None, kind, links=links, started=started)
        whole.set_attribute("messaging.batch.message_count", len(kept))
        whole.end(ended)
        for context, said in kept:
            span = self.start(name, context, kind, links=[Link(whole.get_span_context())], started=started)
            span.set_attributes(said)
            span.end(ended)

    def start(
        self,
        name: str,
        parent: SpanContext | None,
        kind: SpanKind,
        *,
        links: list[Link] | None = None,
        started: int | None = None,
    ) -> Span:
        """A span of a trace that is kept. Only where spans are sent."""
        assert self._provider is not None
        context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
        tracer = self._provider.get_tracer("ocop")
        return tracer.start_span(name, context, kind, links=links or (), start_time=started)

    def keeps(self, trace_id: int | None) -> bool:
        """Whether this is one of the share; of a trace that nobody has begun yet, chance says it."""
        number = random.getrandbits(SHARE_BITS) if trace_id is None else trace_id % 2**SHARE_BITS
        return number < self._bound

    @property
    def on(self) -> bool:
        """Whether spans are sent."""
        return self._provider is not None


class Request:
    """A request, and the spans of the events that it brings."""

    def __init__(self, tracing: Tracing, given: str | None) -> None:
        self._tracing = tracing
        self._spans: list[Span] = []
        self._place: SpanContext | None = None
        if tracing.on:
            came = _context(given)
            kept = tracing.keeps(came.trace_id if came else None)
            self._place = self._span("POST /v1/events", came, SpanKind.SERVER, kept=kept)

    @property
    def on(self) -> bool:
        """Whether events get a place at all."""
        return self._place is not None

    def event(self, own: str | None) -> str | None:
        """What an event of this request hands on as its traceparent: in the trace that it names itself, or else in the
        request's."""
        if self._place is None:
            return own
        named = _context(own)
        kept = self._tracing.keeps(named.trace_id) if named else self._place.trace_flags.sampled
        place = self._span("submission", named or self._place, SpanKind.INTERNAL, kept=kept)
        return f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"

    def end(self) -> None:
        """All of it has been answered."""
        for span in reversed(self._spans):
            span.end()

    def _span(self, name: str, under: SpanContext | None, kind: SpanKind, *, kept: bool) -> SpanContext:
        """Where the span is; of a trace that is not kept, where it would be."""
        if kept:
            span = self._tracing.start(name, under, kind)
            self._spans.append(span)
            return span.get_span_context()
        trace_id = under.trace_id if under else random.getrandbits(128) or 1
        return SpanContext(trace_id, random.getrandbits(64) or 1, is_remote=False)


def of_record(topic: str, partition: int, offset: int, event_id: str, type_: str) -> Attributes:
    """What is said of a record, by OpenTelemetry's names for messaging."""
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.kafka.offset": offset,
        "messaging.message.id": event_id,
        "ocop.type": type_,
    }


def _context(traceparent: str | None) -> SpanContext | None:
    """The place that a traceparent names; None if it names none, as all zeros do."""
    found = _w3c(traceparent or "")
    if found is None:
        return None
    context = SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16))
    )
    return context if context.is_valid else None


def _kept(traceparent: str | None) -> SpanContext | None:
    """The place, if the gateway has said that the trace is kept."""
    if traceparent is None or traceparent[-1:] not in SAMPLED:
        return None
    return _context(traceparent)


TRACING: Final = Tracing()
