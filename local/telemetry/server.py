"""The receiver of telemetry: OTLP over HTTP (metrics, traces) and OpenLineage events; it keeps what arrives.

``GET /metrics``, ``/traces`` and ``/lineage`` return the names: of instruments, of spans, and of jobs with their inputs
and outputs.
"""

from __future__ import annotations

import gzip
import json
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local.serving import Answers, Kept, bind, command_line

#: Where clients send to → where it can be read.
PLACES = {"/v1/metrics": "/metrics", "/v1/traces": "/traces", "/api/v1/lineage": "/lineage"}


def metrics_of(body: bytes) -> list[dict[str, Any]]:
    """Return name, labels and value of each number point; a histogram's value is its count."""
    request = ExportMetricsServiceRequest.FromString(body)
    found: list[dict[str, Any]] = []
    for one in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
        kind = one.WhichOneof("data") or "gauge"
        for point in getattr(one, kind).data_points:
            labels = {label.key: label.value.string_value for label in point.attributes}
            value = point.count if hasattr(point, "count") else point.as_double or point.as_int
            found.append({"name": one.name, "labels": labels, "value": value})
    return found


def traces_of(body: bytes) -> list[dict[str, Any]]:
    """Return name and trace of each span."""
    request = ExportTraceServiceRequest.FromString(body)
    spans = (span for r in request.resource_spans for s in r.scope_spans for span in s.spans)
    return [{"name": span.name, "trace": span.trace_id.hex()} for span in spans]


def lineage_of(body: bytes) -> list[dict[str, Any]]:
    """Return job, kind of event, inputs and outputs of an OpenLineage event."""
    event = json.loads(body)
    names = {
        side: [f"{one['namespace']}/{one['name']}" for one in event.get(side, [])] for side in ("inputs", "outputs")
    }
    return [{"job": event.get("job", {}).get("name"), "event": event.get("eventType"), **names}]


READERS = {"/metrics": metrics_of, "/traces": traces_of, "/lineage": lineage_of}


def make_server(host: str, port: int, folder: Path) -> ThreadingHTTPServer:
    """Return a server that is bound but not yet serving; port 0 takes a free one."""
    kept = {place: Kept(folder / f"{place[1:]}.jsonl") for place in READERS}

    class Handler(Answers):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.answer(200, {"status": "ok"})
            elif self.path in kept:
                self.answer(200, kept[self.path].all())
            else:
                self.answer(404, {"error": "no such page"})

        def do_POST(self) -> None:
            body = self.read()
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            place = PLACES.get(self.path)
            if place is None:
                self.answer(404, {"error": "no such place"})
                return
            kept[place].add(*READERS[place](body))
            # An OTLP answer without content is an empty message.
            if place == "/lineage":
                self.answer(200, {})
            else:
                self.answer(200, b"", "application/x-protobuf")

    return bind(host, port, Handler)


def main() -> None:
    """Serve until interrupted."""
    options = command_line(__doc__, "what arrives").parse_args()
    make_server(options.host, options.port, options.state).serve_forever()


if __name__ == "__main__":
    main()
