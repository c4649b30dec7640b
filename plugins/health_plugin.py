"""Health of the draw pipeline from the running Airflow, at /drawsguard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.api_fastapi.core_api.security import get_user
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.health import CachedHealth, Health, assess, last_known
from drawsguard.warehouse.monitoring_repository import MonitoringRepository


def _look() -> Health:
    # Imported here: this module is loaded by every Airflow process, and only the API server needs the provider.
    from hooks.warehouse_hook import warehouse_client

    return assess(MonitoringRepository(warehouse_client(), dag_id="health", task_id="health"), datetime.now(UTC))


def _look_at_last_round() -> Health:
    from hooks.monitor_rounds import newest_round

    return last_known(newest_round(), load_checks(), datetime.now(UTC))


health = CachedHealth(_look)
#: Costs a look into Airflow's database, and that once in five seconds.
last_round = CachedHealth(_look_at_last_round, timedelta(seconds=5))
app = FastAPI(title="drawsguard", description="Health of the draw pipeline.")


@app.get("/health")
def brief() -> JSONResponse:
    """For load balancers and probes: no sign-in, no details. 200, or 503 when a part is unhealthy.

    It is what the monitor found last, so that nobody can cause queries of BigQuery by asking.
    """
    current = last_round.get()
    return JSONResponse({"status": current.status}, status_code=current.http_status)


@app.get("/health/detailed", dependencies=[Depends(get_user)])
def detailed() -> JSONResponse:
    """For users who are signed in: every part with what was seen."""
    current = health.get()
    content: dict[str, Any] = current.to_json()
    return JSONResponse(content, status_code=current.http_status)


class HealthPlugin(AirflowPlugin):
    """Mounts the application and links it from the navigation."""

    name = "drawsguard_health"
    fastapi_apps = [{"app": app, "url_prefix": "/drawsguard", "name": "drawsguard health"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - the plugin interface
        {
            "name": "健康 Health",
            "href": "drawsguard/health/detailed",
            "destination": "nav",
            "category": "browse",
            "url_route": "drawsguard-health",
        }
    ]
