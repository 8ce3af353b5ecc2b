"""A receiver of OTLP over HTTP: the spans that services send."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Spans = list[tuple[str, Span]]  # of which service


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent in `spans`."""

    spans: Spans

    def do_POST(self) -> None:
        """Takes spans, and says so."""
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in request.resource_spans:
            (service,) = (a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def receiver() -> Iterator[tuple[str, Spans]]:
    """Its address, for OTEL_EXPORTER_OTLP_ENDPOINT, and what it has been sent so far."""
    spans: Spans = []
    handler: Any = type("Of", (Receiver,), {"spans": spans})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()
