"""Our own figures as OpenTelemetry metrics, where Airflow's own are sent; nothing unless Airflow's are switched on.

docs/observability.md says how to switch them on, and lists the figures.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from airflow.configuration import conf

logger = logging.getLogger(__name__)

#: Every figure: name → unit and meaning. docs/observability.md and the dashboard hold the same names (a test compares).
FIGURES: Mapping[str, tuple[str, str]] = {
    "drawsguard.draws.behind": ("{draw}", "Draws that a table is behind the feed's cadence, by table"),
    "drawsguard.sync.latency": ("s", "From the end of the interval until its draws were in the business table"),
    "drawsguard.draws.latency_p95": ("s", "From a draw until it was in the business table, 95 %, in an inspection"),
    "drawsguard.alerts.open": ("{alert}", "Open alerts, by priority"),
    "drawsguard.bill.bytes": ("By", "Bytes that BigQuery billed in an inspection's period, by DAG"),
    "drawsguard.points.rows": ("{row}", "Rows of observed batches, by environment and state"),
}
#: A collector that does not answer may cost a task this long (milliseconds).
PATIENCE = 5_000


class Reading(NamedTuple):
    """A figure as it is now.

    :param name: one of `FIGURES`.
    :param labels: few values each: a label is a series.
    """

    name: str
    value: float
    labels: Mapping[str, str] = {}


def is_on() -> bool:
    """Return whether Airflow sends its metrics to OpenTelemetry."""
    return bool(conf.getboolean("metrics", "otel_on", fallback=False))


def send(readings: Iterable[Reading]) -> None:
    """Send figures to the collector of ``OTEL_EXPORTER_OTLP_ENDPOINT``; a collector that fails is logged, and no more.

    A task lives for seconds: nothing is left to a timer.
    """
    if not is_on():
        return
    try:
        _send(readings)
    except Exception as error:  # noqa: BLE001 - figures about the work must not fail the work
        logger.warning("The figures could not be sent: %s: %s", type(error).__name__, error)


def _send(readings: Iterable[Reading]) -> None:
    # Imported when needed: most tasks send nothing.
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    reader = PeriodicExportingMetricReader(_exporter(), export_interval_millis=float("inf"))
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "drawsguard")})
    provider = MeterProvider(metric_readers=[reader], resource=resource)
    try:
        meter = provider.get_meter("drawsguard")
        for reading in readings:
            unit, meaning = FIGURES[reading.name]
            meter.create_gauge(reading.name, unit=unit, description=meaning).set(reading.value, dict(reading.labels))
        provider.force_flush(PATIENCE)  # it answers yes whatever happens; the exporter logs what it could not send
    finally:
        provider.shutdown(PATIENCE)


def _exporter() -> Any:  # either of two classes that share no typed base
    seconds = PATIENCE // 1000
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").startswith("grpc"):
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

        return GrpcExporter(timeout=seconds)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(timeout=seconds)
