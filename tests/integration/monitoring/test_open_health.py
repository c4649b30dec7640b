"""The health without sign-in: what the monitor found last, from Airflow's database, and never a query of BigQuery."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from drawsguard.monitoring.health import CachedHealth
from drawsguard.settings import REPOSITORY, get_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def bigquery_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A BigQuery that refuses everything, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(403)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"error": {"code": 403, "message": "no", "errors": [{"reason": "accessDenied"}]}}')

        do_GET = do_POST = _refuse

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """What was asked is kept."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
    google = '{"conn_type": "google_cloud_platform", "extra": {"project": "wprojectl", "is_anonymous": true}}'
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", google)
    get_settings.cache_clear()
    yield asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def monitor_dag() -> Any:
    """The monitor's DAG in a metadata database."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, cwd=REPOSITORY, capture_output=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        bag = DagBag(str(REPOSITORY / "dags" / "operations" / "monitoring_checks.py"), bundle_name="dags-folder")
        sync_bag_to_db(bag, "dags-folder", None, session=session)
        session.commit()
        return SerializedDagModel.get_dag("monitoring_checks", session=session)


def end_round(dag: Any, returned: Any, ago: timedelta = timedelta()) -> None:
    """Let a round of the monitor have ended; ``returned`` None: it failed."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import update

    now = datetime.now(UTC)
    with create_session() as session:
        run = dag.create_dagrun(
            run_id=f"scheduled__{now.isoformat()}",
            logical_date=now,
            data_interval=(now, now),
            run_after=now,
            run_type=DagRunType.SCHEDULED,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.SUCCESS,
            session=session,
        )
        session.flush()
        if returned is None:
            return
        XComModel.set(
            key="return_value", value=returned, dag_id=dag.dag_id, task_id="check", run_id=run.run_id, session=session
        )
        session.flush()
        session.execute(update(XComModel).where(XComModel.run_id == run.run_id).values(timestamp=now - ago))


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin with nothing remembered."""
    import health_plugin

    for name in ("health", "last_round"):
        monkeypatch.setattr(health_plugin, name, CachedHealth(getattr(health_plugin, name)._look, timedelta(seconds=5)))
    return health_plugin


def forget(plugin: Any) -> None:
    plugin.last_round._last = None


def test_whoever_asks_without_signing_in_causes_no_job(
    plugin: Any, monitor_dag: Any, bigquery_requests: list[str]
) -> None:
    from airflow.api_fastapi.core_api.security import get_user

    client = TestClient(plugin.app)
    end_round(monitor_dag, {"pass": 15, "fail": 0, "failing": []})
    for _ in range(200):
        answer = client.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
        forget(plugin)
    assert bigquery_requests == []
    assert client.get("/health/detailed").status_code in (401, 403)
    assert bigquery_requests == [], "whoever is not signed in gets no further"

    plugin.app.dependency_overrides[get_user] = lambda: "alice"
    try:
        assert client.get("/health/detailed").status_code == 503
    finally:
        plugin.app.dependency_overrides.clear()
    assert bigquery_requests, "the detailed health asks BigQuery: the requests are seen here"


def test_it_says_what_the_monitor_found_and_when_the_monitor_is_silent(
    plugin: Any, monitor_dag: Any, bigquery_requests: list[str]
) -> None:
    client = TestClient(plugin.app)

    def said(returned: Any, ago: timedelta = timedelta()) -> tuple[int, str]:
        end_round(monitor_dag, returned, ago)
        forget(plugin)
        answer = client.get("/health")
        return answer.status_code, answer.json()["status"]

    assert said({"failing": ["draws_are_synced_in_time"]}) == (503, "unhealthy")
    assert said({"failing": ["identities_pass", "feed_rows_are_valid"]}) == (200, "degraded")
    assert said(None) == (200, "degraded"), "a round that failed says nothing: the one before it still counts"
    for _ in range(10):
        end_round(monitor_dag, None)
    assert said(None) == (503, "unhealthy")
    assert said({"failing": []}) == (200, "healthy")
    for _ in range(10):
        end_round(monitor_dag, {"failing": []}, timedelta(minutes=6))
    forget(plugin)
    assert client.get("/health").status_code == 503, "an old round proves nothing"
    assert said("a value of an earlier release") == (503, "unhealthy")
    assert bigquery_requests == []
