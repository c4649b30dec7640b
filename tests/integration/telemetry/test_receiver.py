"""Figures and lineage arrive over the real protocols; switched off, nothing is sent; a dead collector fails no task."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import requests

from drawsguard.settings import REPOSITORY, get_settings
from hooks import telemetry
from hooks.telemetry import FIGURES, Reading, send
from local.config import Config
from local.telemetry.server import make_server
from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator
from operators.draws.sync.draw_sync_operator import DrawSyncOperator
from operators.operations.monitoring_check_operator import _figures
from operators.points.downline.points_downline_operator import PointsDownlineOperator
from operators.points.telemetry.hive_to_mysql_operator import HiveToMySqlStreamOperator

pytestmark = pytest.mark.integration


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, tmp_path / "telemetry")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    yield url
    server.shutdown()
    server.server_close()


def arrived(url: str, what: str) -> list[dict[str, Any]]:
    return requests.get(f"{url}/{what}", timeout=10).json()


def test_figures_arrive_with_their_labels(receiver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
    send([*_figures({"target.draws": 3}, {"P0": 2}), Reading("drawsguard.sync.latency", 12.5)])
    found = {(one["name"], *one["labels"].values()): one["value"] for one in arrived(receiver, "metrics")}
    assert found[("drawsguard.draws.behind", "target.draws")] == 3
    assert found[("drawsguard.alerts.open", "P0")] == 2
    assert found[("drawsguard.alerts.open", "P1")] == 0
    assert found[("drawsguard.sync.latency",)] == 12.5


def test_spans_of_airflows_own_exporter_arrive_with_the_settings_of_the_stack(
    receiver: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from airflow._shared.observability.traces import _load_exporter_from_env
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    told = Config(tmp_path, 20000, {"TELEMETRY": "1"})._telemetry()
    assert Config(tmp_path, 20000, {})._telemetry() == {}
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", told["OTEL_TRACES_EXPORTER"])
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_load_exporter_from_env()))
    provider.get_tracer("test").start_span("task_run.sync").end()
    assert [span["name"] for span in arrived(receiver, "traces")] == ["task_run.sync"]


def test_nothing_is_sent_unless_it_is_switched_on(receiver: str) -> None:
    send([Reading("drawsguard.sync.latency", 1)])
    assert arrived(receiver, "metrics") == []


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("drawsguard.sync.latency", "Failed to export metrics batch"),
        ("drawsguard.no.such.figure", "KeyError: 'drawsguard.no.such.figure'"),
    ],
)
def test_figures_that_cannot_be_sent_are_logged_and_fail_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, figure: str, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    send([Reading(figure, 1)])
    assert said in caplog.text


def test_an_exporter_that_cannot_be_made_fails_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
    monkeypatch.setattr(telemetry, "_exporter", mock.Mock(side_effect=ImportError("no exporter is installed")))
    send([Reading("drawsguard.sync.latency", 1)])
    assert "ImportError: no exporter is installed" in caplog.text


def emitted(operator: Any, url: str) -> dict[str, Any]:
    """Send what an operator declares, with the provider's extractor and client."""
    from airflow.providers.openlineage.extractors.manager import ExtractorManager
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.transport.http import HttpConfig, HttpTransport
    from openlineage.client.uuid import generate_new_uuid

    run, instance = SimpleNamespace(dag_id="d", run_id="r"), SimpleNamespace(task_id="t", dag_id="d", run_id="r")
    state = "success"
    found = ExtractorManager().extract_metadata(
        dagrun=run, task=operator, task_instance_state=state, task_instance=instance
    )
    client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url)))
    client.emit(
        RunEvent(
            eventType=RunState.COMPLETE, eventTime="2026-11-29T00:00:00Z", run=Run(str(generate_new_uuid())),
            job=Job("airflow", f"d.{type(operator).__name__}"), producer="https://example.com",
            inputs=found.inputs, outputs=found.outputs,
        )
    )  # fmt: skip
    return arrived(url, "lineage")[-1]


def test_our_operators_say_what_they_read_and_write(receiver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, engine in (
        ("HIVESERVER2_DEFAULT", "hiveserver2"),
        ("MYSQL_DEFAULT", "mysql"),
        ("MYSQL_POINTS_INTRANET", "mysql"),
    ):
        value = {"conn_type": engine, "host": f"{name.lower()}.example", "schema": "cvs_intranet"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps({"type": "http", "url": receiver}))
    project = f"bigquery/{get_settings().project}"
    sync = emitted(DrawSyncOperator(task_id="s", slot=timedelta(minutes=5)), receiver)
    assert (sync["inputs"], sync["outputs"]) == ([f"{project}.drawsguard.draws"], [f"{project}.pc28.draws"])
    features = emitted(FeatureRefreshOperator(task_id="f"), receiver)
    assert (features["inputs"], features["outputs"]) == ([f"{project}.pc28.draws"], [f"{project}.pc28.draws_14w"])
    push = emitted(HiveToMySqlStreamOperator(task_id="p", flow="window", window={}), receiver)
    assert push["inputs"] == ["hive://hiveserver2_default.example:10000/cma.ads_evt_ops_status"]
    assert push["outputs"] == ["mysql://mysql_default.example:3306/rsp_datagovern.ads_evt_ops_status_ago"]
    downline = PointsDownlineOperator(task_id="d", batch_id="b1", environment="intranet")
    downline._changed_tables = ["define_nosdata_general"]
    changed = emitted(downline, receiver)
    assert changed["inputs"] == ["mysql://mysql_default.example:3306/points_lifecycle.batch_row"]
    assert changed["outputs"] == ["mysql://mysql_points_intranet.example:3306/cvs_intranet.define_nosdata_general"]


def test_page_and_dashboard_show_every_figure_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "observability.md").read_text("utf-8")
    assert set(re.findall(r"`(drawsguard\.[a-z0-9_.]+)`", page)) == set(FIGURES)
    dashboard = json.loads((REPOSITORY / "deploy" / "grafana" / "drawsguard.json").read_text("utf-8"))
    shown = {panel["description"]: panel["targets"][0]["expr"] for panel in dashboard["panels"]}
    assert {name for name in shown if name.startswith("drawsguard.")} == set(FIGURES)
    for name in FIGURES:
        assert name.replace(".", "_") in shown[name]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
